// SPDX-License-Identifier: Apache-2.0

package imageproxy_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

// TestNobodyStopsARegistryForOthers by asking for what the vendor's credential does not open.
func TestNobodyStopsARegistryForOthers(t *testing.T) {
	for name, refuse := range map[string]func(*world){
		"basic": func(w *world) {
			w.quay.When("GET", "/nobody/").Answer(401, "", "WWW-Authenticate", `Basic realm="registry"`)
		},
		"bearer": func(w *world) {
			realm := &registrytest.Realm{URL: "https://quay.io/v2/auth", User: proxytest.User, Password: proxytest.Password}
			w.quay.GuardBy(realm.Guard)
			w.network.Serve(quay, http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path != "/v2/auth":
					w.quay.ServeHTTP(out, r)
				case r.URL.Query().Get("scope") == "repository:nobody/nothing:pull":
					out.WriteHeader(http.StatusUnauthorized)
				default:
					realm.ServeHTTP(out, r)
				}
			}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, config{})
			refuse(w)
			one, another := w.licensed("app"), w.licensed("other")
			w.admit(one, another)
			for range 3 {
				w.Do("GET", "/v2/proxy/app/quay.io/nobody/nothing/manifests/v1", one.basic()).Fails(404, oci.NameUnknown)
				w.Do("GET", "/v2/proxy/other/quay.io/team/api/manifests/v1", another.basic()).Is(200)
				w.Do("GET", "/v2/proxy/app/quay.io/library/busybox/manifests/v1", one.basic()).Is(200)
			}
			w.network.Count(1, registrytest.Mentions("nobody"), registrytest.With("Authorization"))
		})
	}
}

// quirk D13: an unknown repository is denied instead of being unknown, though the credential is good. That is
// a mistake of the customer's, and the vendor has nothing to mend.
func TestQuirkD13ADeniedRepositoryIsNotARefusedCredential(t *testing.T) {
	anonymous := proxytest.Fixed(keychain.Credential{})
	deny := func(w *world, status int) {
		w.quay.When("GET", "/nobody/").Answer(status, "", "WWW-Authenticate", `Basic realm="registry"`)
	}
	for name, test := range map[string]struct {
		keychain keychain.Keychain // nil: the right credential
		prepare  func(*world)
		status   int
	}{
		"401 to a password": {nil, func(w *world) { deny(w, 401) }, 404},
		"403 to a password": {nil, func(w *world) { deny(w, 403) }, 404},
		"401, and it greets everybody": {nil, func(w *world) {
			deny(w, 401)
			greetAll(w)
		}, 404},
		"no token":                {nil, func(w *world) { bearerAt(w, tokenServer{denied: 401}) }, 404},
		"403 of the token server": {nil, func(w *world) { bearerAt(w, tokenServer{denied: 403}) }, 404},
		"a token that opens nothing": {nil, func(w *world) {
			bearerAt(w, tokenServer{})
			w.quay.When("GET", "/nobody/").Answer(401, "", "WWW-Authenticate",
				`Bearer realm="https://quay.io/v2/auth",service="registry.test",error="insufficient_scope"`)
		}, 404},
		"no token without a credential": {anonymous, func(w *world) { bearerAt(w, tokenServer{denied: 401, anonymous: true}) }, 404},
		"a registry open to all": {anonymous, func(w *world) {
			w.quay.GuardBy(func(next http.Handler) http.Handler { return next })
			deny(w, 401)
		}, 404},
		"a missing credential":               {anonymous, func(*world) {}, 502},
		"a missing credential for any token": {anonymous, func(w *world) { bearerAt(w, tokenServer{}) }, 502},
		"a wrong password": {proxytest.Fixed(keychain.Credential{Username: proxytest.User, Password: "wrong"}),
			func(*world) {}, 502},
		"a wrong password at the token server": {proxytest.Fixed(keychain.Credential{Username: proxytest.User, Password: "wrong"}),
			func(w *world) { bearerAt(w, tokenServer{}) }, 502},
		"a wrong password, and it greets everybody": {proxytest.Fixed(keychain.Credential{Username: proxytest.User, Password: "wrong"}),
			greetAll, 502},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, config{keychain: test.keychain})
			test.prepare(w)
			c := w.licensed("app")
			if test.status == 404 && test.keychain == nil {
				w.Do("GET", image+"/manifests/v1", c.basic()).Is(200)
			}
			for _, name := range []string{"nothing", "nothing", "else"} {
				for _, path := range w.kinds() {
					answer := w.Do("GET", "/v2/proxy/app/quay.io/nobody/"+name+path, c.basic()).Lacks("WWW-Authenticate").Hides(upstreamNames()...)
					record := w.pulls.last()
					if test.status == 502 {
						answer.Fails(502, oci.Unavailable)
					} else {
						answer.Fails(404, oci.NameUnknown)
					}
					if refused := record.Reason == imageproxy.UpstreamRefused; refused != (test.status == 502) {
						t.Errorf("%s is recorded with reason %q", path, record.Reason)
					}
					if record.Err == nil || !strings.Contains(record.Err.Error(), "ExternalRegistry quay") {
						t.Errorf("the log does not say what the registry answered: %v", record.Err)
					}
				}
			}
		})
	}
}

// greetAll has quay.io greet whoever asks, so that its greeting says nothing of a credential.
func greetAll(w *world) {
	w.network.Serve(quay, http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" {
			w.quay.ServeHTTP(out, r)
		}
	}))
}

// tokenServer is what is special about one.
type tokenServer struct {
	// denied is the status for a scope of nobody's; 0: it issues a token that opens nothing.
	denied int
	// anonymous: whoever shows no password gets a token too.
	anonymous bool
}

// bearerAt has quay.io guarded by a token server of its own.
func bearerAt(w *world, s tokenServer) {
	realm := &registrytest.Realm{URL: "https://quay.io/v2/auth", User: proxytest.User, Password: proxytest.Password}
	if s.anonymous {
		realm.User, realm.Password = "", ""
	}
	w.quay.GuardBy(realm.Guard)
	w.network.Serve(quay, http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/v2/auth":
			w.quay.ServeHTTP(out, r)
		case s.denied != 0 && strings.Contains(r.URL.Query().Get("scope"), "nobody"):
			out.WriteHeader(s.denied)
		default:
			realm.ServeHTTP(out, r)
		}
	}))
}
