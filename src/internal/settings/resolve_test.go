// SPDX-License-Identifier: Apache-2.0

package settings_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/settings"
)

func TestResolveRepository(t *testing.T) {
	for value, want := range map[string]string{
		"registry.example.com/a":              "registry.example.com a",
		"registry.example.com:5000/a/b/c":     "registry.example.com:5000 a/b/c",
		"Registry.Example.COM/a":              "registry.example.com a",
		"localhost/a":                         "localhost a",
		"localhost:5000/a__b/c-d/e.f/g--h":    "localhost:5000 a__b/c-d/e.f/g--h",
		"127.0.0.1:1/a":                       "127.0.0.1:1 a",
		"[::1]:5000/a":                        "[::1]:5000 a",
		"[2001:db8::1]/a":                     "[2001:db8::1] a",
		"user/repo":                           "index.docker.io user/repo",
		"docker.io/user/repo":                 "index.docker.io user/repo", // quirk A9
		"index.docker.io/user/repo":           "index.docker.io user/repo", // quirk A9
		"registry-1.docker.io/user/repo":      "index.docker.io user/repo", // quirk A9
		"Docker.io/repo":                      "index.docker.io library/repo",
		"repo":                                "index.docker.io library/repo", // quirk A9
		"r.io/" + strings.Repeat("a", 250):    "r.io " + strings.Repeat("a", 250),
		"123.dkr.ecr.eu-1.amazonaws.com/a/b1": "123.dkr.ecr.eu-1.amazonaws.com a/b1",
	} {
		t.Run(value, func(t *testing.T) {
			s := settings.Values{Repository: value}.Resolve("")
			if got := s.Registry + " " + s.Repository; !s.Configured() || got != want {
				t.Errorf("got %q with problem %v, want %q", got, s.Problem, want)
			}
		})
	}
}

func TestResolveRefusesRepository(t *testing.T) {
	const (
		host  = "does not begin with a valid host: write host/path or host:port/path"
		path  = "is not a valid repository path: use lower-case letters and digits, separated by / . _ __ or -"
		alone = "names a registry, but no repository in it: add /path"
		space = "contains white space or a control character: remove it"
	)
	for value, want := range map[string]string{
		"https://r.io/a":                   "has a scheme: begin with the registry's host",
		"oci://r.io/a":                     "has a scheme: begin with the registry's host",
		"http://r.io/a":                    "has the scheme http://: remove it and set plain_http: true",
		"u:secret@r.io/a":                  "carries a user name: remove it and put the credential into the push secret",
		"r.io/a@sha256:00":                 "names a digest: end it before the @",
		"r.io/a:tag":                       "names a tag: end it before the colon: tags are chosen by clients",
		"r.io:5000/a:tag":                  "names a tag: end it before the colon: tags are chosen by clients",
		"user/repo:tag":                    "names a tag: end it before the colon: tags are chosen by clients",
		"repo:tag":                         "names a tag: end it before the colon: tags are chosen by clients",
		"r.io/a/":                          "ends with a slash: remove the slash",
		"/":                                "ends with a slash: remove the slash",
		"/a":                               "has an empty component: write registry/path with single slashes",
		"r.io//a":                          "has an empty component: write registry/path with single slashes",
		"r.io/a/../b":                      path,
		"r.io/a_-b":                        path,
		"r.io/-a":                          path,
		"r.io/ä":                           path,
		"r.io/a?b":                         path,
		"r.io/Team/a":                      "has upper-case letters in the path: registries take lower case only",
		"r.io":                             alone,
		"r.io:5000":                        alone,
		"localhost":                        alone,
		"[::1]:5000":                       alone,
		"r..io/a":                          host,
		"-r.io/a":                          host,
		"r.io:0/a":                         host,
		"r.io:+1/a":                        host,
		"r.io:65536/a":                     host,
		"r.io:/a":                          host,
		"[::1/a":                           host,
		"[1.2.3.4]/a":                      host,
		"::1/a":                            host,
		"r.io/a b":                         space,
		"r.io/a\n":                         space,
		"docker.io/a/b/c":                  "has more than two levels, which Docker Hub does not take: write user/repo, or begin with another registry's host",
		"r.io/" + strings.Repeat("a", 251): "is longer than 255 characters: choose a shorter path",
	} {
		t.Run(value, func(t *testing.T) {
			s := settings.Values{Repository: value}.Resolve("")
			if s.Configured() || !s.Invalid() {
				t.Fatalf("taken as %s/%s", s.Registry, s.Repository)
			}
			if got := s.Problem.Error(); got != "repository: "+want {
				t.Errorf("problem\n%s\nwant\nrepository: %s", got, want)
			}
			if s.Registry+s.Repository != "" {
				t.Errorf("half a target: %q %q", s.Registry, s.Repository)
			}
		})
	}
}

func TestResolveWithoutRepository(t *testing.T) {
	s := settings.Values{AllowPull: true}.Resolve("")
	if !errors.Is(s.Problem, settings.ErrNoRepository) || s.Configured() || s.Invalid() {
		t.Errorf("problem %v, configured %v, invalid %v", s.Problem, s.Configured(), s.Invalid())
	}
	if !s.AllowPull {
		t.Error("what is good was lost")
	}
}

func TestResolveNamesThePlace(t *testing.T) {
	for value, want := range map[string]string{
		"":      "v.yml: " + settings.ErrNoRepository.Error(),
		"r.io/": "v.yml: repository: ends with a slash: remove the slash",
	} {
		s := settings.Values{Repository: value}.Resolve("v.yml")
		if s.Problem == nil || s.Problem.Error() != want {
			t.Errorf("problem %v, want %s", s.Problem, want)
		}
	}
}

// quirk A12
func TestQuirkA12TokenRealms(t *testing.T) {
	for host, want := range map[string]string{
		"auth.example.net": "", "Auth.Example.NET:8443": "", "[::1]:5001": "", "192.0.2.7": "", "localhost": "",
		"":                         "is empty",
		"https://auth.example.net": "has a scheme or a path", "auth.example.net/token": "has a scheme or a path", "auth.example.net/": "has a scheme or a path",
		"user:secret@auth.example.net": "is not a host", "auth_.example.net": "is not a host", "*.example.net": "is not a host", "auth.example.net:0": "is not a host",
	} {
		s := settings.Values{Repository: "r.io/a", TokenRealms: []string{"first.example.net", host}}.Resolve("v.yml")
		switch {
		case want == "" && (s.Problem != nil || !slices.Equal(s.TokenRealms, []string{"first.example.net", strings.ToLower(host)})):
			t.Errorf("%q: %v, %q", host, s.Problem, s.TokenRealms)
		case want != "" && (s.Problem == nil || !strings.HasPrefix(s.Problem.Error(), "v.yml: token_realms[1]: "+want) || strings.Contains(s.Problem.Error(), "secret")):
			t.Errorf("%q: %v", host, s.Problem)
		}
	}
}

func TestResolveFallsBackToShared(t *testing.T) {
	shared := settings.Shared{ImageRegistry: settings.ImageRegistry{
		ProjectPath: "r.io/platform", Secret: settings.SecretRef{Name: "s", Namespace: "n"}}}
	for name, c := range map[string]struct {
		values     settings.Values
		repository string
		secret     string
	}{
		"both empty": {settings.Values{Shared: shared}, "platform/source", "s"},
		"both own": {settings.Values{Shared: shared, Repository: "r.io/own", PushSecret: settings.PushSecret{Name: "own"}},
			"own", "own"},
		"IAM role": {settings.Values{Shared: shared, PushSecret: settings.PushSecret{AWSIAMRole: "arn"}}, "platform/source", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, v := c.values.Resolve(""), c.values.WithShared()
			if s.Repository != c.repository || v.PushSecret.Name != c.secret || s.Problem != nil {
				t.Errorf("repository %q, secret %q, problem %v", s.Repository, v.PushSecret.Name, s.Problem)
			}
		})
	}
	bad := settings.Values{Shared: settings.Shared{ImageRegistry: settings.ImageRegistry{ProjectPath: "r.io/"}}}.Resolve("")
	want := "shared.image_registry.project_path: has an empty component: write registry/path with single slashes"
	if bad.Problem == nil || bad.Problem.Error() != want {
		t.Errorf("problem %v, want %s", bad.Problem, want)
	}
}

func TestResolveCertificates(t *testing.T) {
	one, two := certificate(t, "one"), certificate(t, "two")
	block := func(kind string) string { return "-----BEGIN " + kind + "-----\nAAAA\n-----END " + kind + "-----\n" }
	for name, c := range map[string]struct{ own, shared, ca, problem string }{
		"none":           {},
		"own":            {own: one, ca: one},
		"shared":         {shared: one, ca: one},
		"merged":         {own: one, shared: two, ca: one + two},
		"merged, bare":   {own: strings.TrimSpace(one), shared: two, ca: one + two},
		"the same twice": {own: one, shared: one, ca: one},
		"comments":       {own: "# root\n" + one + "# next\n" + two, ca: "# root\n" + one + "# next\n" + two},
		"CRLF":           {own: strings.ReplaceAll(one, "\n", "\r\n"), ca: strings.TrimSpace(strings.ReplaceAll(one, "\n", "\r\n")) + "\n"},
		"no PEM":         {own: "hello", problem: "ca_cert_data: holds no PEM certificate: paste certificates that begin with -----BEGIN CERTIFICATE-----"},
		"cut short":      {own: one + two[:len(two)/2], problem: "ca_cert_data: PEM block 2 is incomplete or malformed: paste it again, with its BEGIN and END lines and without indentation"},
		"hidden in the middle": {own: one[:60] + "\n" + two,
			problem: "ca_cert_data: PEM block 1 is incomplete or malformed: paste it again, with its BEGIN and END lines and without indentation"},
		"not a certificate": {shared: one + block("PUBLIC KEY"), problem: "shared.ca_cert_data: PEM block 2 is not a certificate: remove it"},
		"private key":       {own: block("RSA PRIVATE KEY"), problem: "ca_cert_data: PEM block 1 is a private key: remove it from here, and consider it no longer private"},
		"garbage inside":    {own: block("CERTIFICATE"), problem: "ca_cert_data: PEM block 1 is not a readable certificate (x509: malformed certificate): paste it again or remove it"},
	} {
		t.Run(name, func(t *testing.T) {
			s := settings.Values{Repository: "r.io/a", CACertData: c.own, Shared: settings.Shared{CACertData: c.shared}}.Resolve("")
			problem := ""
			if s.Problem != nil {
				problem = s.Problem.Error()
			}
			if diff := cmp.Diff([]string{c.ca, c.problem}, []string{string(s.CACertData), problem}); diff != "" {
				t.Errorf("bundle and problem (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEqual(t *testing.T) {
	base := settings.Values{Repository: "r.io/a", CACertData: certificate(t, "one")}
	if !base.Resolve("").Equal(base.Resolve("")) {
		t.Error("the same values differ")
	}
	for name, change := range map[string]func(*settings.Values){
		"registry":   func(v *settings.Values) { v.Repository = "s.io/a" },
		"repository": func(v *settings.Values) { v.Repository = "r.io/b" },
		"problem":    func(v *settings.Values) { v.Repository = "" },
		"http":       func(v *settings.Values) { v.PlainHTTP = true },
		"ca":         func(v *settings.Values) { v.CACertData = "" },
		"pull":       func(v *settings.Values) { v.AllowPull = true },
		"delete":     func(v *settings.Values) { v.AllowDelete = true },
		"sub":        func(v *settings.Values) { v.AllowSubRepositories = true },
		"tenancy":    func(v *settings.Values) { v.NamespacedAPI.Tenancy = "tags" },
		"realms":     func(v *settings.Values) { v.TokenRealms = []string{"auth.example.net"} },
	} {
		other := base
		change(&other)
		if base.Resolve("").Equal(other.Resolve("")) {
			t.Errorf("a change of %s is not seen", name)
		}
	}
}
