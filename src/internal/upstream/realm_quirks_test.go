// SPDX-License-Identifier: Apache-2.0

package upstream_test

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// realmOf serves a registry and its realm where they are, by TLS alone, and returns the realm.
func realmOf(t *testing.T, network *registrytest.Network, registryHost, realmHost, named string) *registrytest.Realm {
	t.Helper()
	registry := registrytest.NewRegistry(t)
	realm := &registrytest.Realm{URL: named, User: proxytest.User, Password: proxytest.Password}
	registry.GuardBy(realm.Guard)
	both := http.NewServeMux()
	both.Handle("/token", realm)
	both.Handle("/v2/", registry)
	network.Serve(registryHost, both)
	if realmHost != registryHost {
		network.Serve(realmHost, both)
	}
	return realm
}

// quirk A12: realms on another registrable domain, or on a company's own top level: the operator can allow
// them, by host and port.
func TestQuirkA12RealmsThatAreListed(t *testing.T) {
	for _, test := range []struct {
		registry, realm string
		listed          []string
		ok              bool
	}{
		{"rg.fr-par.scw.cloud", "api.scaleway.com", []string{"api.scaleway.com"}, true},
		{"registry.corp.local", "gitlab.corp.local", []string{"other.corp.local", "GitLab.Corp.Local"}, true},
		{"registry.corp.local", "gitlab.corp.local:8443", []string{"gitlab.corp.local:8443"}, true},
		{"registry.corp.local", "gitlab.corp.local", []string{"gitlab.corp.local:443"}, true},
		{"registry.corp.local", "192.0.2.7", []string{"192.0.2.7"}, true},
		{"registry.corp.local", "gitlab.corp.local", nil, false},
		{"registry.corp.local", "gitlab.corp.local:8443", []string{"gitlab.corp.local"}, false},
		{"registry.corp.local", "gitlab.corp.local", []string{"gitlab.corp.local:8443", "corp.local", "evil-gitlab.corp.local"}, false},
		{"registry.corp.local", "evil.gitlab.corp.local", []string{"gitlab.corp.local"}, false},
	} {
		t.Run(fmt.Sprint(test.registry, " ", test.realm, " ", test.listed), func(t *testing.T) {
			network := registrytest.NewNetwork(t)
			realmOf(t, network, test.registry, test.realm, "https://"+test.realm+"/token")
			p := proxytest.New(t, network, proxytest.Config{Host: test.registry, TokenRealms: test.listed})
			if test.ok {
				p.Do("POST", uploads).Is(202)
				network.One(registrytest.Sent("GET", "/token"), registrytest.With("Authorization"))
				return
			}
			p.Do("POST", uploads).Fails(403, oci.Denied).Says("token_realms").Hides(test.realm)
			network.None(registrytest.To(test.realm))
		})
	}
}

// quirk A12: what is refused says which host would have to be listed; nothing would help where there is no
// such host.
func TestQuirkA12TheErrorNamesTheHost(t *testing.T) {
	for realm, want := range map[string]string{
		"https://gitlab.corp.local/token": "gitlab.corp.local", "https://GitLab.corp.local:8443/": "gitlab.corp.local:8443",
		"https://gitlab.corp.local:443/token": "gitlab.corp.local", "http://auth.example.com/token": "auth.example.com",
		"http://auth.example.com:8080/token": "auth.example.com:8080", "/token": "", "ftp://gitlab.corp.local/": "",
	} {
		r, double, _ := world(t, upstream.Config{})
		double.GuardBy((&registrytest.Realm{URL: realm}).Guard)
		_, err := send(t.Context(), r, "GET", "/tags/list", nil)
		refused, ok := errors.AsType[*upstream.RealmError](err)
		if !ok || refused.Host != want || !errors.Is(err, upstream.ErrRealm) {
			t.Errorf("realm %s: %v, names %+v", realm, err, refused)
		}
	}
}

// quirk A13: a realm with http:// on the registry's own host, or on one that is listed, is asked by https.
func TestQuirkA13RealmsThatForgetTLS(t *testing.T) {
	for _, test := range []struct {
		registry, named, realm string
		listed                 []string
	}{
		{"registry.corp.local", "http://registry.corp.local/token", "registry.corp.local", nil},
		{"registry.corp.local", "http://registry.corp.local:80/token", "registry.corp.local", nil},
		{"registry.corp.local:8443", "http://registry.corp.local/token", "registry.corp.local:8443", nil},
		{"registry.corp.local:8443", "http://registry.corp.local:8443/token", "registry.corp.local:8443", nil},
		{"registry.corp.local", "http://registry.corp.local:9443/token", "registry.corp.local:9443", nil},
		{"registry.corp.local", "http://gitlab.corp.local/token", "gitlab.corp.local", []string{"gitlab.corp.local"}},
	} {
		t.Run(test.registry+" "+test.named, func(t *testing.T) {
			network := registrytest.NewNetwork(t)
			realmOf(t, network, test.registry, test.realm, test.named)
			proxytest.New(t, network, proxytest.Config{Host: test.registry, TokenRealms: test.listed}).Do("POST", uploads).Is(202)
			network.One(registrytest.To(test.realm), registrytest.Sent("GET", "/token"), registrytest.With("Authorization"))
		})
	}
}

// quirk A14: token servers redirect to themselves, and never elsewhere.
func TestQuirkA14TokenServersThatRedirect(t *testing.T) {
	identity := keychain.Credential{Username: "<token>", IdentityToken: "refresh-token"}
	for _, test := range []struct {
		location string
		ok       bool
	}{
		{"/token/", true}, {"token/", true}, {"https://auth.example.com/token/", true}, {"https://auth.example.com:443/token/", true},
		{"http://auth.example.com/token/", true}, // quirk A13
		{"https://auth.example.net/token/", false}, {"//auth.example.net/token/", false}, {"https://auth.example.com:8443/token/", false},
		{"https://registry.example.com/token/", false}, {"https://user@auth.example.com/token/", false}, {"", false}, {"/token", false},
	} {
		for _, status := range []int{301, 302, 307, 308} {
			for method, credential := range map[string]keychain.Credential{"GET": {Username: proxytest.User, Password: proxytest.Password}, "POST": identity} {
				t.Run(fmt.Sprint(method, status, test.location), func(t *testing.T) {
					p, registry := proxytest.Simple(t, proxytest.Config{Keychain: proxytest.Fixed(credential)})
					realm := &registrytest.Realm{URL: "https://auth.example.com/token", User: proxytest.User, Password: proxytest.Password, RefreshToken: "refresh-token"}
					registry.GuardBy(realm.Guard)
					mux := http.NewServeMux()
					mux.Handle("/token/", realm)
					mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
						location := test.location
						if location != "" && r.URL.RawQuery != "" {
							location += "?" + r.URL.RawQuery
						}
						w.Header().Set("Location", location)
						w.WriteHeader(status)
					})
					for _, host := range []string{"auth.example.com", "auth.example.net", "auth.example.com:8443"} {
						p.Network.Serve(host, mux)
					}
					if !test.ok {
						p.Do("POST", uploads).Fails(502, oci.Unavailable)
						p.Network.None(registrytest.To("auth.example.net"))
						p.Network.None(registrytest.To("auth.example.com:8443"))
						p.Network.None(registrytest.Sent("", "/token/"))
						return
					}
					p.Do("POST", uploads).Is(202)
					p.Network.One(registrytest.Sent(method, "/token/"))
				})
			}
		}
	}
}

// quirk A14: 429 of the token server or of /v2/ stays 429, with when to come again; so does 503. No
// credential was refused by it.
func TestQuirkA14TooManyRequests(t *testing.T) {
	for _, where := range []string{"token server", "greeting"} {
		for _, status := range []int{429, 503} {
			for said, want := range map[string]string{
				"17": "17", "0": "0", "Fri, 31 Dec 1999 23:59:59 GMT": "Fri, 31 Dec 1999 23:59:59 GMT", "": "", "soon": "", "-1": "", "https://auth.example.com/": "",
			} {
				if status == 503 && said == "17" {
					continue // it is waited for in part, because 503 is tried again
				}
				t.Run(fmt.Sprint(where, status, said), func(t *testing.T) {
					p, registry, realm := tokens(t, proxytest.Config{})
					var over atomic.Bool
					busy := func(w http.ResponseWriter, r *http.Request, next http.Handler) {
						if over.Load() {
							next.ServeHTTP(w, r)
							return
						}
						w.Header()["Retry-After"] = []string{said}[:min(len(said), 1)]
						w.WriteHeader(status)
					}
					if where == "greeting" {
						registry.When("GET", "/v2/").Do(busy)
					} else {
						p.Network.Serve("auth.example.com", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { busy(w, r, realm) }))
					}
					answer := p.Do("POST", uploads).Fails(status, map[int]oci.Code{429: oci.TooManyRequests, 503: oci.Unavailable}[status])
					answer.Has("Retry-After", want).Hides("auth.example.com", "registry.example.com")
					over.Store(true)
					p.Do("POST", uploads).Is(202)
				})
			}
		}
	}
}

// quirk A14: some token servers answer strangers 404: a credential is missing, and not a token server.
func TestQuirkA14StrangersAreNotFound(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{Keychain: proxytest.Fixed(keychain.Credential{})})
	registry.GuardBy((&registrytest.Realm{URL: "https://auth.example.com/token"}).Guard)
	p.Network.Serve("auth.example.com", http.NotFoundHandler())
	p.Do("POST", uploads).Fails(403, oci.Denied).Says("credential")
}
