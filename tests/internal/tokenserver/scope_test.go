// SPDX-License-Identifier: Apache-2.0

package tokenserver_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/tokenserver"
)

func TestParseScope(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		want tokenserver.Scope
		ok   bool
	}{
		"repository:demo/source:pull,push": {pushSource, true},
		"registry:catalog:*":               {tokenserver.Scope{Type: "registry", Name: "catalog", Actions: []string{"*"}}, true},
		"repository:localhost:5000/a:pull": {
			tokenserver.Scope{Type: "repository", Name: "localhost:5000/a", Actions: []string{"pull"}}, true,
		},
		"":                         {},
		"repository":               {},
		"repository:a":             {},
		"repository::pull":         {},
		":a:pull":                  {},
		"repository:a:":            {},
		"repository:a:pull,":       {},
		"repository:a b:pull":      {},
		"repository:a:pull,push\n": {},
	}
	for text, tc := range tests {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			got, err := tokenserver.ParseScope(text)
			if (err == nil) != tc.ok {
				t.Fatalf("error %v, want none: %t", err, tc.ok)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzParseScope(f *testing.F) {
	f.Add("repository:demo/source:pull,push")
	f.Add("repository:localhost:5000/a:pull")
	f.Add("registry:catalog:*")
	f.Fuzz(func(t *testing.T, text string) {
		scope, err := tokenserver.ParseScope(text)
		if err == nil && scope.String() != text {
			t.Errorf("%q became %q", text, scope)
		}
	})
}
