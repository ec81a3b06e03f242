// SPDX-License-Identifier: Apache-2.0

package imageproxy_test

import (
	"net/http"
	"testing"

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
				w.Do("GET", "/v2/proxy/app/quay.io/nobody/nothing/manifests/v1", one.basic()).Fails(502, oci.Unavailable)
				w.Do("GET", "/v2/proxy/other/quay.io/team/api/manifests/v1", another.basic()).Is(200)
				w.Do("GET", "/v2/proxy/app/quay.io/library/busybox/manifests/v1", one.basic()).Is(200)
			}
			w.network.Count(1, registrytest.Mentions("nobody"), registrytest.With("Authorization"))
		})
	}
}
