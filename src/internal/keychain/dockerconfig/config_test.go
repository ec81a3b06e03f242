// SPDX-License-Identifier: Apache-2.0

package dockerconfig

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func basic(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}

func mustParse(t *testing.T, config string) *Config {
	t.Helper()
	c, err := Parse("test.json", []byte(config))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestForms(t *testing.T) {
	tests := []struct {
		name, entry string
		want        keychain.Credential
	}{
		{"auth", `{"auth": "` + basic("alice", "pa:ss") + `"}`, keychain.Credential{Username: "alice", Password: "pa:ss"}},
		{"user name and password", `{"username": "bob", "password": "b"}`, keychain.Credential{Username: "bob", Password: "b"}},
		{"auth wins over user name", `{"username": "bob", "password": "b", "auth": "` + basic("alice", "a") + `"}`, keychain.Credential{Username: "alice", Password: "a"}},
		{
			"identity token, empty password: quirk A6",
			`{"auth": "` + basic("00000000-0000-0000-0000-000000000000", "") + `", "identitytoken": "refresh"}`,
			keychain.Credential{Username: "00000000-0000-0000-0000-000000000000", IdentityToken: "refresh"},
		},
		{"registry token wins", `{"registrytoken": "bearer", "identitytoken": "refresh", "username": "x", "password": "y"}`, keychain.Credential{RegistryToken: "bearer"}},
		{"left behind by docker login", `{}`, keychain.Credential{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := mustParse(t, `{"auths": {"r.example.com": `+test.entry+`}}`).Credential(t.Context(), "r.example.com")
			if err != nil {
				t.Fatal(err)
			}
			if got != test.want { // cmp would print a redacted form of both
				t.Errorf("got user %q, password %q, identity token %q, registry token %q", got.Username, got.Password, got.IdentityToken, got.RegistryToken)
			}
		})
	}
}

func TestKeyMatching(t *testing.T) {
	tests := []struct {
		name             string
		keys             []string // in the config; the user name is the key
		host, repository string
		want             string // key, or "" for anonymous
	}{
		{name: "exact", keys: []string{"r.example.com"}, host: "r.example.com", want: "r.example.com"},
		{name: "port", keys: []string{"r.example.com:5000", "r.example.com"}, host: "r.example.com:5000", want: "r.example.com:5000"},
		{name: "another port", keys: []string{"r.example.com:5000"}, host: "r.example.com", want: ""},
		{name: "https", keys: []string{"https://r.example.com"}, host: "r.example.com", want: "https://r.example.com"},
		{name: "http", keys: []string{"http://r.example.com/"}, host: "r.example.com", want: "http://r.example.com/"},
		{name: "v1", keys: []string{"https://r.example.com/v1/"}, host: "r.example.com", want: "https://r.example.com/v1/"},
		{name: "v2", keys: []string{"r.example.com/v2/"}, host: "r.example.com", want: "r.example.com/v2/"},
		{name: "case", keys: []string{"HTTPS://R.Example.COM"}, host: "r.eXample.com", want: "HTTPS://R.Example.COM"},
		{name: "plain key first", keys: []string{"https://a.example.com/v1/", "a.example.com", "https://a.example.com"}, host: "a.example.com", want: "a.example.com"},
		{name: "subdomain is foreign", keys: []string{"example.com"}, host: "r.example.com", want: ""},
		{name: "superdomain is foreign", keys: []string{"r.example.com"}, host: "example.com", want: ""},
		{name: "suffix is foreign", keys: []string{"example.com"}, host: "evilexample.com", want: ""},

		{name: "quirk A9: docker.io", keys: []string{"https://index.docker.io/v1/"}, host: "docker.io", want: "https://index.docker.io/v1/"},
		{name: "quirk A9: registry-1", keys: []string{"https://index.docker.io/v1/"}, host: "registry-1.docker.io", want: "https://index.docker.io/v1/"},
		{name: "quirk A9: index", keys: []string{"docker.io"}, host: "index.docker.io", want: "docker.io"},
		{name: "quirk A9: docker's own name first", keys: []string{"docker.io", "https://index.docker.io/v1/"}, host: "docker.io", want: "https://index.docker.io/v1/"},
		{name: "quirk A9: auth host is no registry", keys: []string{"docker.io"}, host: "auth.docker.io", want: ""},

		{name: "path: longest", keys: []string{"r.example.com", "r.example.com/team", "r.example.com/team/app"}, host: "r.example.com", repository: "team/app/x", want: "r.example.com/team/app"},
		{name: "path: itself", keys: []string{"r.example.com", "https://r.example.com/team/"}, host: "r.example.com", repository: "team", want: "https://r.example.com/team/"},
		{name: "path: whole segments", keys: []string{"r.example.com", "r.example.com/team"}, host: "r.example.com", repository: "teams/x", want: "r.example.com"},
		{name: "path: other repository", keys: []string{"r.example.com/team"}, host: "r.example.com", repository: "other", want: ""},
		{name: "path: no repository", keys: []string{"r.example.com/team"}, host: "r.example.com", want: ""},
		{name: "path: other host", keys: []string{"r.example.com/team"}, host: "s.example.com", repository: "team", want: ""},

		{name: "pattern", keys: []string{"*.example.com"}, host: "r.example.com", want: "*.example.com"},
		{name: "pattern: exact first", keys: []string{"*.example.com", "longer.example.com"}, host: "longer.example.com", want: "longer.example.com"},
		{name: "pattern: one label", keys: []string{"*.example.com"}, host: "a.r.example.com", want: ""},
		{name: "pattern: same port", keys: []string{"*.example.com"}, host: "r.example.com:5000", want: ""},
		{name: "pattern: malformed", keys: []string{"[.example.com"}, host: "r.example.com", want: ""},
		{name: "user names in the key", keys: []string{"alice@corp@r.example.com"}, host: "r.example.com", want: "alice@corp@r.example.com"},
		{name: "empty key", keys: []string{""}, host: "", want: ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var entries []string
			for _, key := range test.keys {
				entries = append(entries, fmt.Sprintf(`%q: {"username": %q, "password": "p"}`, key, key))
			}
			c := mustParse(t, `{"auths": {`+strings.Join(entries, ",")+`}}`)
			got, err := c.Repository(test.repository).Credential(t.Context(), test.host)
			if err != nil || got.Username != test.want {
				t.Errorf("got the entry %q, error %v, want %q", got.Username, err, test.want)
			}
		})
	}
}

func TestHosts(t *testing.T) {
	c := mustParse(t, `{"auths": {
		"https://index.docker.io/v1/": {"registrytoken": "t"},
		"https://docker.io": {"registrytoken": "t"},
		"alice:hunter2@r.example.com/team": {"registrytoken": "t"},
		"empty.example.com": {}
	}, "credHelpers": {"gcr.io": "gcloud", "off.example.com": ""}}`)
	if diff := cmp.Diff([]string{"docker.io", "gcr.io", "r.example.com/team"}, c.Hosts()); diff != "" {
		t.Error(diff)
	}
}

func TestBadConfig(t *testing.T) {
	const remedy = `: write it with "docker login" or "kubectl create secret docker-registry"`
	good := `{"auths": {"r.example.com": {"auth": "` + basic("a", "b") + `"}}}`
	tests := []struct{ name, config, want string }{
		{"empty", " \n", `is empty` + remedy},
		{"null", "null", `is "null"` + remedy},
		{"list", "[]", `line 1, column 1: array where an object is wanted: correct it, or write it with "docker login" or "kubectl create secret docker-registry"`},
		{"cut off", "{\n  \"auths\": {", `line 2, column 12: not valid JSON (unexpected end of JSON input): correct it, or write it with "docker login" or "kubectl create secret docker-registry"`},
		{"comma", "{\n  \"auths\": {},\n}", `line 3, column 1: not valid JSON (invalid character '}' looking for beginning of object key string): correct it, or write it with "docker login" or "kubectl create secret docker-registry"`},
		{"more after it", "{}\n{}", `line 2, column 1: not valid JSON (invalid character '{' after top-level value): correct it, or write it with "docker login" or "kubectl create secret docker-registry"`},
		{"base64", base64.StdEncoding.EncodeToString([]byte(good)), `is base64 of a docker config: decode it once`},
		{"old form", `{"https://r.example.com": {"auth": "` + basic("a", "b") + `"}}`, `is in the old .dockercfg form: put its content under the key "auths", as type kubernetes.io/dockerconfigjson wants it`},
		{"auths is a string", "{\n\"auths\": \"hunter2\"}", `line 2, column 18: string where an object is wanted: correct it, or write it with "docker login" or "kubectl create secret docker-registry"`},
		{"password is a number", `{"auths": {"r.example.com": {"password": 314159265358979}}}`, `line 1, column 56: number where a string is wanted: correct it, or write it with "docker login" or "kubectl create secret docker-registry"`},
		{"auth is not base64", `{"auths": {"good.example.com": {"auth": "` + basic("a", "b") + `"}, "https://r.example.com/v1/": {"auth": "hunter2:hunter2"}}}`, `"auth" of "r.example.com" is not base64 of "user:password"` + remedy},
		{"auth has no colon", `{"auths": {"r.example.com": {"auth": "` + base64.StdEncoding.EncodeToString([]byte("hunter2")) + `"}}}`, `"auth" of "r.example.com" is not base64 of "user:password"` + remedy},
		{"auth has no user", `{"auths": {"r.example.com": {"auth": "` + basic("", "hunter2") + `"}}}`, `"auth" of "r.example.com" is not base64 of "user:password"` + remedy},
		{"helper is a path", `{"credsStore": "../../tmp/x"}`, `credential helper "../../tmp/x": the name is what follows "docker-credential-" and cannot be a path`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse("/etc/push.json", []byte(test.config))
			if err == nil {
				t.Fatal("it was accepted")
			}
			if diff := cmp.Diff("docker config /etc/push.json: "+test.want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNothingToSay(t *testing.T) {
	for _, config := range []string{`{}`, `{"auths": null}`, `{"psFormat": "table", "HttpHeaders": {"X": "y"}}`} {
		got, err := mustParse(t, config).Credential(t.Context(), "r.example.com")
		if err != nil || !got.Anonymous() {
			t.Errorf("%s: got %v, %v", config, got, err)
		}
	}
}

func TestKnows(t *testing.T) {
	for config, hosts := range map[string]map[string]bool{
		`{"auths": {"https://quay.io/v1/": {"auth": "dTpw"}, "ghcr.io/team": {"auth": "dTpw"}, "docker.io": {}}}`: {"quay.io": true, "ghcr.io": false, "index.docker.io": false},
		`{"auths": {"*.example.com": {"auth": "dTpw"}}}`:                                                          {"r.example.com": true, "example.com": false},
		`{"credHelpers": {"gcr.io": "gcloud"}}`:                                                                   {"gcr.io": true, "quay.io": false},
		`{"credsStore": "desktop"}`:                                                                               {"quay.io": true},
	} {
		c, err := Parse("test", []byte(config))
		if err != nil {
			t.Fatal(err)
		}
		for host, want := range hosts {
			if c.Knows(host) != want {
				t.Errorf("%s knows %s: %v", config, host, !want)
			}
		}
	}
}
