// SPDX-License-Identifier: Apache-2.0

package upstream_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

// quirk A10: a wrong password is not retried at every request; a changed one is tried at once.
func TestQuirkA10WrongPassword(t *testing.T) {
	guards := map[string]func(p *proxytest.Proxy, registry *registrytest.Registry){
		"basic": func(_ *proxytest.Proxy, registry *registrytest.Registry) {
			registry.GuardBy(registrytest.Basic(proxytest.User, "right"))
		},
		"bearer": func(p *proxytest.Proxy, registry *registrytest.Registry) {
			realm := &registrytest.Realm{URL: "https://auth.example.com/token", User: proxytest.User, Password: "right"}
			p.Network.Serve("auth.example.com", realm)
			registry.GuardBy(realm.Guard)
		},
	}
	for name, guard := range guards {
		t.Run(name, func(t *testing.T) {
			credential := keychain.Credential{Username: proxytest.User, Password: "wrong"}
			p, registry := proxytest.Simple(t, proxytest.Config{Keychain: keychain.Func(func(context.Context, string) (keychain.Credential, error) { return credential, nil })})
			guard(p, registry)
			for range 5 {
				p.Do("POST", uploads).Fails(403, oci.Denied).Says("not yours")
			}
			p.Network.Count(1, registrytest.With("Authorization"))
			credential.Password = "right"
			p.PushBlob(layer())
			registry.Holds(proxytest.Repository, layer())
		})
	}
}

// quirk A10: a wrong password is not tried at one repository after the other; and not without end where the
// registry does not say whether it is wrong. Of a changed one, nothing is held against it.
func TestQuirkA10WrongPasswordForManyRepositories(t *testing.T) {
	for name, test := range map[string]struct {
		guard func(p *proxytest.Proxy, registry *registrytest.Registry)
		shown int
	}{
		"basic": {func(_ *proxytest.Proxy, registry *registrytest.Registry) {
			registry.GuardBy(registrytest.Basic(proxytest.User, "right"))
		}, 2},
		"bearer": {func(p *proxytest.Proxy, registry *registrytest.Registry) {
			realm := &registrytest.Realm{URL: "https://auth.example.com/token", User: proxytest.User, Password: "right"}
			p.Network.Serve("auth.example.com", realm)
			registry.GuardBy(realm.Guard)
		}, 2},
		"a greeting for everybody": {func(_ *proxytest.Proxy, registry *registrytest.Registry) {
			registry.GuardBy(func(next http.Handler) http.Handler {
				guarded := registrytest.Basic(proxytest.User, "right")(next)
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/v2/" {
						next.ServeHTTP(w, r)
						return
					}
					guarded.ServeHTTP(w, r)
				})
			})
		}, 17},
	} {
		t.Run(name, func(t *testing.T) {
			credential := keychain.Credential{Username: proxytest.User, Password: "wrong"}
			p, registry := proxytest.Simple(t, proxytest.Config{
				AllowSubRepositories: true,
				Keychain:             keychain.Func(func(context.Context, string) (keychain.Credential, error) { return credential, nil }),
			})
			test.guard(p, registry)
			for i := range 30 {
				p.Do("POST", fmt.Sprintf("/v2/source/sub%d/blobs/uploads/", i)).Fails(403, oci.Denied).Says("not yours")
			}
			p.Network.Count(test.shown, registrytest.With("Authorization"))
			credential.Password = "right"
			p.Do("POST", "/v2/source/sub0/blobs/uploads/").Is(202)
			p.PushBlob(layer())
			registry.Holds(proxytest.Repository, layer())
		})
	}
}

// quirk A10: nor is one that is refused while the body of a manifest is on its way.
func TestQuirkA10WrongPasswordOnceRead(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	registry.GuardBy(registrytest.Basic(proxytest.User, "right"))
	registry.When("PUT", "/manifests/").AnswerOnceRead(401, "", "WWW-Authenticate", "Basic")
	for range 3 {
		p.Do("PUT", "/v2/source/manifests/v1", proxytest.Body([]byte("{}"))).Fails(403, oci.Denied)
	}
	if n := len(p.Network.Requests(registrytest.With("Authorization"))); n != 1 {
		t.Errorf("a refused password was shown %d times", n)
	}
}
