// SPDX-License-Identifier: Apache-2.0

package imageproxy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

// aliased is an image that its reader knows by an alias alone, so that every name of its registry would be
// news to him.
const aliased = "/v2/proxy/other/inner/team/api"

// TestNothingNamesTheUpstream, whatever it says: not in a body, nor in a header.
func TestNothingNamesTheUpstream(t *testing.T) {
	const speaks = "storage-7.vendor.example of registry.vendor.example says team/api of robot is at https://registry.vendor.example:5000/v2/"
	hidden := append(upstreamNames(), "storage-7", "vendor.example", "team/secret", "10.1.2.3", "STORAGE_SEVEN", "detail")
	for _, status := range []int{400, 401, 403, 404, 405, 409, 413, 416, 429, 500, 501, 502, 503} {
		for name, body := range map[string]string{
			"JSON": fmt.Sprintf(`{"errors":[{"code":"DENIED","message":%q,"detail":{"host":"registry.vendor.example"}}]}`, speaks),
			"list": fmt.Sprintf(`{"errors":[{"code":"STORAGE_SEVEN","message":"m"},{"code":"X","message":%q,"detail":"10.1.2.3"}]}`, speaks),
			"HTML": "<html><title>" + speaks + "</title></html>",
			"text": "upstream connect error: 10.1.2.3:443 team/secret",
		} {
			t.Run(fmt.Sprint(status, " ", name), func(t *testing.T) {
				w := newWorld(t, config{})
				c := w.licensed("other")
				w.inner.When("GET", "/v2/team/").Answer(status, body,
					"WWW-Authenticate", `Bearer realm="https://registry.vendor.example:5000/token"`, "Set-Cookie", "at=registry.vendor.example",
					"Server", "storage-7", "Via", "1.1 storage-7", "Warning", `299 registry.vendor.example "old"`, "X-Backend", "10.1.2.3", "Location", "https://storage-7.vendor.example/",
					"Content-Range", "bytes */registry.vendor.example")
				for _, path := range w.kinds() {
					answer := w.Do("GET", aliased+path, c.basic()).Hides(hidden...).Lacks("WWW-Authenticate", "Set-Cookie", "Location", "Server", "Via", "Content-Range")
					if answer.Status == 401 || answer.Status == 403 {
						t.Errorf("%s: the registry's %d became the client's %d", path, status, answer.Status)
					}
				}
			})
		}
	}
}

// TestHeadersOfAnAnswer: those of the API, and no other.
func TestHeadersOfAnAnswer(t *testing.T) {
	w := newWorld(t, config{})
	c := w.licensed("other")
	w.inner.When("GET", "/v2/team/").Do(func(out http.ResponseWriter, r *http.Request, next http.Handler) {
		for name, value := range map[string]string{
			"Set-Cookie": "at=registry.vendor.example", "Server": "storage-7", "Warning": `299 registry.vendor.example "old"`, "OCI-Registry": "registry.vendor.example",
			"X-Backend": "10.1.2.3", "Content-Location": "https://storage-7.vendor.example/", "Alt-Svc": `h3="storage-7:443"`, "OCI-Filters-Applied": "artifactType",
			"Cache-Control": "public, max-age=31536000",
		} {
			out.Header().Set(name, value)
		}
		next.ServeHTTP(out, r)
	})
	for _, path := range append(w.kinds(), "/tags/list?n=1") {
		w.Do("GET", aliased+path, c.basic(), proxytest.Header("X-Forwarded-Uri", "/elsewhere"+aliased+path)).Is(200).
			Hides(append(upstreamNames(), "storage-7", "vendor.example", "10.1.2.3", "elsewhere")...).Has("Cache-Control", "private, no-cache").
			Lacks("Set-Cookie", "Server", "Warning", "Oci-Registry", "X-Backend", "Content-Location", "Alt-Svc").Has("OCI-Filters-Applied", "artifactType")
	}
}

// TestLinksAreOurs, also when the registry's are on a host of its own.
func TestLinksAreOurs(t *testing.T) {
	w := newWorld(t, config{})
	c := w.licensed("other")
	for _, path := range []string{"/tags/list", "/referrers/" + w.digest} {
		for _, link := range []string{"/v2/team/api/x?n=1&last=v1", "https://registry.vendor.example:5000/v2/team/api/x?n=1&last=v1", "https://storage-7.vendor.example/x?n=1&last=v1"} {
			w.inner.When("GET", path).Times(1).Answer(200, `{"name":"team/api","tags":["v1"]}`, "Link", "<"+link+`>; rel="next"`)
			w.Do("GET", aliased+path, c.basic()).Is(200).Has("Link", "<"+aliased+path+`?n=1&last=v1>; rel="next"`)
		}
	}
}

// TestRedirectsAreFollowed, and none is passed on: not those of a download, nor others, nor the ones that a
// client could follow.
func TestRedirectsAreFollowed(t *testing.T) {
	w := newWorld(t, config{})
	c := w.licensed("other")
	w.network.Serve("storage-7.vendor.example", http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		_, _ = out.Write([]byte("from the storage"))
	}))
	for _, status := range []int{301, 302, 303, 307, 308} {
		w.inner.When("GET", "/blobs/").Times(1).Answer(status, "", "Location", "https://storage-7.vendor.example/blob?signature=s")
		w.Do("GET", aliased+"/blobs/"+w.blob, c.basic()).Is(200).Says("from the storage").Lacks("Location").Hides("storage-7", "signature")
	}
	w.network.None(registrytest.To("storage-7.vendor.example"), registrytest.With("Authorization"))
	w.network.Forget()
	for _, path := range w.kinds() {
		if strings.Contains(path, "/blobs/") {
			continue // no honest registry keeps anything else elsewhere
		}
		w.inner.When("GET", path).Times(1).Answer(307, "", "Location", "https://storage-7.vendor.example/blob?signature=s")
		w.Do("GET", aliased+path, c.basic()).Fails(502, oci.Unavailable).Lacks("Location").Hides("storage-7", "signature")
	}
	w.network.None(registrytest.To("storage-7.vendor.example"))
	for _, status := range []int{300, 304, 305, 307} {
		for _, path := range w.kinds() {
			w.inner.When("GET", path).Times(1).Answer(status, "", "Location", "https://nowhere.vendor.example/blob?signature=s")
			answer := w.Do("GET", aliased+path, c.basic()).Lacks("Location").Hides("nowhere", "signature")
			if answer.Status != 502 && answer.Status != 304 {
				t.Errorf("%s: a redirect by %d was answered %d", path, status, answer.Status)
			}
		}
	}
}

// TestNoRedirectIsPassedOn, also by mistake: the side does not rely on how a registry was made.
func TestNoRedirectIsPassedOn(t *testing.T) {
	w := newWorld(t, config{passes: true})
	c := w.licensed("other")
	for _, path := range w.kinds() {
		w.inner.When("GET", path).Times(1).Answer(307, "", "Location", "https://storage-7.vendor.example/blob?signature=s")
		w.Do("GET", aliased+path, c.basic()).Fails(502, oci.Unavailable).Lacks("Location").Hides("storage-7", "signature")
	}
}

// TestTheLogHasWhatTheCustomerIsNotTold.
func TestTheLogHasWhatTheCustomerIsNotTold(t *testing.T) {
	w := newWorld(t, config{})
	c := w.licensed("other")
	w.inner.When("GET", "/manifests/").Answer(503, `{"errors":[{"code":"UNAVAILABLE","message":"the disk of storage-7 is full"}]}`)
	w.Do("GET", aliased+"/manifests/v1", c.basic()).Fails(503, oci.Unavailable).Hides("storage-7")
	if said, _ := w.lines("pull")[0]["error"].(string); !strings.Contains(said, "the disk of storage-7 is full") {
		t.Errorf("logged %q", said)
	}
}

// TestWhatGoesUpstream: the client's license and cookies do not, nor the prefix, and the scope is for
// pulling.
func TestWhatGoesUpstream(t *testing.T) {
	w := newWorld(t, config{})
	realm := &registrytest.Realm{URL: "https://quay.io/v2/auth", User: proxytest.User, Password: proxytest.Password, ExpiresIn: 300}
	w.network.Serve(quay, http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/auth" {
			realm.ServeHTTP(out, r)
			return
		}
		w.quay.ServeHTTP(out, r)
	}))
	w.quay.GuardBy(realm.Guard)
	c := w.licensed("app")
	w.Do("GET", image+"/manifests/v1?ns=quay.io", c.basic(), proxytest.Header("Cookie", "a=b"), proxytest.Header("X-Forwarded-Host", "x")).Is(200)
	asked := w.network.One(registrytest.Sent("GET", "/v2/auth"))
	if !strings.Contains(asked.Query, "scope=repository%3Ateam%2Fapi%3Apull&") {
		t.Errorf("the realm was asked %s", asked.Query)
	}
	manifest := w.network.One(registrytest.Sent("GET", "/manifests/v1"), registrytest.With("Authorization"))
	if manifest.Path != "/v2/team/api/manifests/v1" || manifest.Query != "" || manifest.Header.Get("Cookie")+manifest.Header.Get("X-Forwarded-Host") != "" {
		t.Errorf("the registry was asked %s with %v", manifest, manifest.Header)
	}
	w.network.None(registrytest.Mentions(c.id))
}
