// SPDX-License-Identifier: Apache-2.0

package oci_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

func TestChallengeParse(t *testing.T) {
	bearer := oci.Challenge{Scheme: "bearer", Params: map[string]string{
		"realm": "https://auth.test/token", "service": "registry.test", "scope": "repository:a/b:pull,push",
	}}
	basic := oci.Challenge{Scheme: "basic", Params: map[string]string{"realm": "Registry"}}
	for name, test := range map[string]struct {
		lines []string
		want  []oci.Challenge
	}{
		"bearer":             {[]string{`Bearer realm="https://auth.test/token",service="registry.test",scope="repository:a/b:pull,push"`}, []oci.Challenge{bearer}},
		"spaces":             {[]string{`Bearer  realm = "https://auth.test/token" , service= "registry.test",scope ="repository:a/b:pull,push"`}, []oci.Challenge{bearer}},
		"capitals":           {[]string{`BEARER Realm="https://auth.test/token",SERVICE="registry.test",scope="repository:a/b:pull,push"`}, []oci.Challenge{bearer}},
		"without quotes":     {[]string{`Bearer realm=https://auth.test/token,service=registry.test,scope="repository:a/b:pull,push"`}, []oci.Challenge{bearer}},
		"two lines":          {[]string{`Basic realm="Registry"`, `Bearer realm="https://auth.test/token",service="registry.test",scope="repository:a/b:pull,push"`}, []oci.Challenge{basic, bearer}},
		"two in a line":      {[]string{`Basic realm="Registry", Bearer realm="https://auth.test/token",service="registry.test",scope="repository:a/b:pull,push"`}, []oci.Challenge{basic, bearer}},
		"scheme alone":       {[]string{`Negotiate`}, []oci.Challenge{{Scheme: "negotiate", Params: map[string]string{}}}},
		"scheme, then basic": {[]string{`Negotiate, Basic realm="Registry"`}, []oci.Challenge{{Scheme: "negotiate", Params: map[string]string{}}, basic}},
		"escaped quotes":     {[]string{`Basic realm="a \"b\" \\c"`}, []oci.Challenge{{Scheme: "basic", Params: map[string]string{"realm": `a "b" \c`}}}},
		"first counts":       {[]string{`Basic realm="Registry", realm="other"`}, []oci.Challenge{basic}},
		"leading comma":      {[]string{`, Basic realm="Registry"`}, []oci.Challenge{basic}},
		"never closed":       {[]string{`Basic realm="Regis`}, []oci.Challenge{{Scheme: "basic", Params: map[string]string{}}}},
		"empty":              {[]string{""}, nil},
		"none":               {nil, nil},
	} {
		got := oci.ParseChallenges(http.Header{"Www-Authenticate": test.lines})
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func FuzzChallengeParse(f *testing.F) {
	f.Add(`Bearer realm="https://auth.test/token",service="registry.test"`)
	f.Add(`Basic realm="a \"b\"", Bearer realm=x, Negotiate abc==`)
	f.Fuzz(func(t *testing.T, line string) {
		for _, c := range oci.ParseChallenges(http.Header{"Www-Authenticate": {line}}) {
			if c.Scheme == "" || c.Scheme != strings.ToLower(c.Scheme) || c.Params == nil {
				t.Errorf("%q: %+v", line, c)
			}
		}
	})
}
