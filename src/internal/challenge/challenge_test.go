// SPDX-License-Identifier: Apache-2.0

package challenge_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/challenge"
)

func TestParse(t *testing.T) {
	bearer := challenge.Challenge{Scheme: "bearer", Params: map[string]string{
		"realm": "https://auth.test/token", "service": "registry.test", "scope": "repository:a/b:pull,push",
	}}
	basic := challenge.Challenge{Scheme: "basic", Params: map[string]string{"realm": "Registry"}}
	for name, test := range map[string]struct {
		lines []string
		want  []challenge.Challenge
	}{
		"bearer":             {[]string{`Bearer realm="https://auth.test/token",service="registry.test",scope="repository:a/b:pull,push"`}, []challenge.Challenge{bearer}},
		"spaces":             {[]string{`Bearer  realm = "https://auth.test/token" , service= "registry.test",scope ="repository:a/b:pull,push"`}, []challenge.Challenge{bearer}},
		"capitals":           {[]string{`BEARER Realm="https://auth.test/token",SERVICE="registry.test",scope="repository:a/b:pull,push"`}, []challenge.Challenge{bearer}},
		"without quotes":     {[]string{`Bearer realm=https://auth.test/token,service=registry.test,scope="repository:a/b:pull,push"`}, []challenge.Challenge{bearer}},
		"two lines":          {[]string{`Basic realm="Registry"`, `Bearer realm="https://auth.test/token",service="registry.test",scope="repository:a/b:pull,push"`}, []challenge.Challenge{basic, bearer}},
		"two in a line":      {[]string{`Basic realm="Registry", Bearer realm="https://auth.test/token",service="registry.test",scope="repository:a/b:pull,push"`}, []challenge.Challenge{basic, bearer}},
		"scheme alone":       {[]string{`Negotiate`}, []challenge.Challenge{{Scheme: "negotiate", Params: map[string]string{}}}},
		"scheme, then basic": {[]string{`Negotiate, Basic realm="Registry"`}, []challenge.Challenge{{Scheme: "negotiate", Params: map[string]string{}}, basic}},
		"escaped quotes":     {[]string{`Basic realm="a \"b\" \\c"`}, []challenge.Challenge{{Scheme: "basic", Params: map[string]string{"realm": `a "b" \c`}}}},
		"first counts":       {[]string{`Basic realm="Registry", realm="other"`}, []challenge.Challenge{basic}},
		"leading comma":      {[]string{`, Basic realm="Registry"`}, []challenge.Challenge{basic}},
		"never closed":       {[]string{`Basic realm="Regis`}, []challenge.Challenge{{Scheme: "basic", Params: map[string]string{}}}},
		"empty":              {[]string{""}, nil},
		"none":               {nil, nil},
	} {
		got := challenge.Parse(http.Header{"Www-Authenticate": test.lines})
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`Bearer realm="https://auth.test/token",service="registry.test"`)
	f.Add(`Basic realm="a \"b\"", Bearer realm=x, Negotiate abc==`)
	f.Fuzz(func(t *testing.T, line string) {
		for _, c := range challenge.Parse(http.Header{"Www-Authenticate": {line}}) {
			if c.Scheme == "" || c.Scheme != strings.ToLower(c.Scheme) || c.Params == nil {
				t.Errorf("%q: %+v", line, c)
			}
		}
	})
}
