// SPDX-License-Identifier: Apache-2.0

package imageproxy_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/engine"
	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

const image = "/v2/proxy/app/quay.io/team/api"

// TestALicenseOpensItsImages, by both ways of showing it, in all that can be read of a repository.
func TestALicenseOpensItsImages(t *testing.T) {
	w := newWorld(t, config{})
	acme := w.licensed("app")
	token := w.buy(acme, "repository:proxy/app/quay.io/team/api:pull")
	for name, shown := range map[string]proxytest.Option{"license": acme.basic(), "token": bearer(token)} {
		t.Run(name, func(t *testing.T) {
			w.Do("GET", "/v2/", shown).Is(200).Has("Docker-Distribution-Api-Version", "registry/2.0")
			w.Do("GET", image+"/manifests/v1", shown).Is(200).Says(`{"schemaVersion":2}`).Has("Docker-Content-Digest", w.digest)
			w.Do("HEAD", image+"/manifests/v1", shown).Is(200).Has("Docker-Content-Digest", w.digest)
			w.Do("GET", image+"/manifests/"+w.digest, shown).Is(200)
			w.Do("GET", image+"/blobs/"+w.blob, shown).Is(200).Says("the layer")
			w.Do("HEAD", image+"/blobs/"+strings.Replace(w.blob, ":", "%3A", 1), shown).Is(200).Has("Content-Length", "9")
			w.Do("GET", image+"/blobs/"+w.blob, shown, proxytest.Header("Range", "bytes=4-")).Is(206).Says("layer")
			w.Do("GET", image+"/tags/list", shown).Is(200).Says(`{"name":"proxy/app/quay.io/team/api","tags":["v1","v2"]}`)
			w.Do("HEAD", image+"/tags/list", shown).Is(200)
			w.Do("GET", image+"/tags/list?n=1", shown).Is(200).Has("Link", `<`+image+`/tags/list?last=v1&n=1>; rel="next"`)
			w.Do("GET", image+"/referrers/"+w.digest, shown).Is(200).Says(`"manifests":[]`)
			w.Do("GET", image+"/manifests/nothing", shown).Fails(404, oci.ManifestUnknown)
		})
	}
	w.network.None(registrytest.Mentions(acme.id))
	w.network.None(registrytest.Mentions(token))
}

// TestAdmission is the table of what becomes of whom, for everything that can be asked for. No row but the
// last asks a registry.
func TestAdmission(t *testing.T) {
	past, future := time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC), time.Now().Add(time.Hour)
	const closed = "this license does not open this image"
	for name, test := range map[string]struct {
		app     string // of the license
		without string // registry that is not configured
		change  func(*customer)
		show    func(*customer) proxytest.Option
		name    string // of the image, below /v2/
		status  int
		code    oci.Code
		says    string
		reason  imageproxy.Reason
		holder  bool
	}{
		"none":            {show: func(*customer) proxytest.Option { return func(*http.Request) {} }, status: 401, code: oci.Unauthorized, reason: imageproxy.Unauthenticated},
		"no password":     {show: func(*customer) proxytest.Option { return proxytest.Basic("user", "") }, status: 401, code: oci.Unauthorized, reason: imageproxy.Unauthenticated},
		"unknown id":      {show: func(*customer) proxytest.Option { return proxytest.Basic("user", v1alpha1.NewID()) }, status: 401, code: oci.Unauthorized, reason: imageproxy.UnknownLicense},
		"the hash":        {show: func(c *customer) proxytest.Option { return proxytest.Basic("user", v1alpha1.Hash(c.id)) }, status: 401, code: oci.Unauthorized, reason: imageproxy.UnknownLicense},
		"id as the user":  {show: func(c *customer) proxytest.Option { return proxytest.Basic(c.id, "x") }, status: 401, code: oci.Unauthorized, reason: imageproxy.UnknownLicense},
		"id as a token":   {show: func(c *customer) proxytest.Option { return bearer(c.id) }, status: 401, code: oci.Unauthorized, reason: imageproxy.Unauthenticated},
		"another scheme":  {show: func(c *customer) proxytest.Option { return proxytest.Header("Authorization", "License "+c.id) }, status: 401, code: oci.Unauthorized, reason: imageproxy.Unauthenticated},
		"license expired": {change: func(c *customer) { c.license.Expires = past }, status: 403, code: oci.Denied, says: "this license expired at 2020-02-03T04:05:06Z", reason: imageproxy.Expired, holder: true},
		"id expired":      {change: func(c *customer) { c.credential.Expires = past }, status: 403, code: oci.Denied, says: "this license id expired at 2020-02-03T04:05:06Z", reason: imageproxy.Expired, holder: true},
		"id expired, license not": {change: func(c *customer) { c.credential.Expires, c.license.Expires = past, future }, status: 403, code: oci.Denied,
			says: "this license id expired at 2020-02-03T04:05:06Z", reason: imageproxy.Expired, holder: true},
		"license expired, id not": {change: func(c *customer) { c.license.Expires, c.credential.Expires = past, future }, status: 403, code: oci.Denied,
			says: "this license expired at 2020-02-03T04:05:06Z", reason: imageproxy.Expired, holder: true},
		"revoked":               {change: func(c *customer) { c.license.Revoked = true }, status: 403, code: oci.Denied, says: "this license was revoked; ask", reason: imageproxy.Revoked, holder: true},
		"revoked since":         {change: func(c *customer) { c.license.Revoked, c.license.RevokedAt = true, past }, status: 403, code: oci.Denied, says: "this license was revoked at 2020-02-03T04:05:06Z", reason: imageproxy.Revoked, holder: true},
		"revoked of another":    {app: "other", change: func(c *customer) { c.license.Revoked = true }, status: 403, code: oci.Denied, says: "revoked", reason: imageproxy.Revoked, holder: true},
		"another app":           {app: "other", status: 403, code: oci.Denied, says: closed, reason: imageproxy.OtherApp, holder: true},
		"an app that is none":   {name: "proxy/nothing/quay.io/team/api", status: 403, code: oci.Denied, says: closed, reason: imageproxy.OtherApp, holder: true},
		"another app's unknown": {app: "other", name: "proxy/app/unknown.example/team/api", status: 403, code: oci.Denied, says: closed, reason: imageproxy.OtherApp, holder: true},
		"a closed registry":     {name: "proxy/app/" + inner + "/team/api", status: 403, code: oci.Denied, says: closed, reason: imageproxy.RegistryClosed, holder: true},
		"a closed alias":        {without: hub, name: "proxy/app/" + innerAlias + "/team/api", status: 403, code: oci.Denied, says: closed, reason: imageproxy.RegistryClosed, holder: true},
		"an unknown registry":   {name: "proxy/app/unknown.example/team/api", status: 404, code: oci.NameUnknown, says: "not configured", reason: imageproxy.RegistryUnknown, holder: true},
		"another port":          {name: "proxy/app/quay.io:5000/team/api", status: 404, code: oci.NameUnknown, says: "not configured", reason: imageproxy.RegistryUnknown, holder: true},
		"an address":            {name: "proxy/app/127.0.0.1:8081/team/api", status: 404, code: oci.NameUnknown, says: "not configured", reason: imageproxy.RegistryUnknown, holder: true},
		"not behind this side":  {name: "source", status: 404, code: oci.NameUnknown, says: "begin with proxy/", holder: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, config{without: test.without})
			if test.app == "" {
				test.app = "app"
			}
			c := w.licensed(test.app)
			if test.change != nil {
				test.change(c)
				w.admit(c)
			}
			if test.show == nil {
				test.show = (*customer).basic
			}
			if test.name == "" {
				test.name = strings.TrimPrefix(image, "/v2/")
			}
			for _, path := range w.kinds() {
				w.failsLike(c, test.show(c), test.name, path, test.status, test.code, test.says, test.reason, test.holder)
			}
			w.unspoken()
		})
	}
}

// failsLike asks for one thing and checks what is answered, logged and counted.
func (w *world) failsLike(c *customer, shown proxytest.Option, name, path string, status int, code oci.Code, says string, reason imageproxy.Reason, holder bool) {
	w.t.Helper()
	answer := w.Do("GET", "/v2/"+name+path, shown).Fails(status, code).Says(says).Hides(upstreamNames()...)
	if status == 401 {
		host := strings.TrimPrefix(w.URL, "http://")
		want := fmt.Sprintf(`Bearer realm="http://%s/v2/token",service="%s",scope="repository:%s:pull"`, host, host, name)
		if got := answer.Header.Values("WWW-Authenticate"); len(got) != 2 || !strings.HasPrefix(got[0], want) || got[1] != `Basic realm="License"` {
			w.t.Errorf("the challenges are %q, want %s and Basic", got, want)
		}
	} else {
		answer.Lacks("WWW-Authenticate")
	}
	r := w.pulls.last()
	customer, license := "", ""
	if holder {
		customer, license = c.license.Customer, c.license.Name
	}
	if r.Reason != reason || r.Status != status || r.Success || r.Customer != customer || r.License != license {
		w.t.Errorf("%s: recorded %+v", path, r)
	}
	lines := w.lines("pull")
	if line := lines[len(lines)-1]; line["status"] != float64(status) || line["customer"] != customer || line["success"] != false || line["error"] == nil {
		w.t.Errorf("%s: logged %v", path, line)
	}
}

// TestWhatTwoDenialsTell: the same bytes, so that nothing is there to be probed.
func TestWhatTwoDenialsTell(t *testing.T) {
	w := newWorld(t, config{without: hub})
	c := w.licensed("app")
	answers := map[string]bool{}
	for _, name := range []string{"proxy/other/quay.io/team/api", "proxy/nothing/unknown.example/x", "proxy/app/" + inner + "/team/api", "proxy/app/inner/nothing"} {
		answer := w.Do("GET", "/v2/"+name+"/manifests/v1", c.basic()).Is(403)
		delete(answer.Header, "X-Request-Id")
		delete(answer.Header, "Date")
		answers[fmt.Sprintln(answer.Header, string(answer.Body))] = true
	}
	if len(answers) != 1 {
		t.Errorf("there are %d answers: %v", len(answers), answers)
	}
}

// TestTheVendorsCredentialIsRefused: the customer learns that it is not his, and the vendor which registry it
// is.
func TestTheVendorsCredentialIsRefused(t *testing.T) {
	w := newWorld(t, config{password: "wrong"})
	c := w.licensed("app")
	for _, path := range w.kinds() {
		for _, method := range []string{"GET", "HEAD"} {
			answer := w.Do(method, image+path, c.basic()).Is(502).Lacks("WWW-Authenticate").Hides(upstreamNames()...)
			if method == "GET" {
				answer.Fails(502, oci.Unavailable).Says("ask the vendor")
			}
			if r := w.pulls.last(); r.Reason != imageproxy.UpstreamRefused || r.Customer != "Acme" || !strings.Contains(r.Err.Error(), "ExternalRegistry quay") {
				t.Errorf("%s %s: recorded %+v", method, path, r)
			}
		}
	}
	if log := w.log.String(); strings.Contains(log, `"wrong"`) || strings.Contains(log, c.id) {
		t.Error("a secret is in the log")
	}
}

// TestARegistryThatCannotBeUsed, because its Secret is missing for example.
func TestARegistryThatCannotBeUsed(t *testing.T) {
	w := newWorld(t, config{without: quay})
	w.registries = append(w.registries, &catalog.Registry{Name: "quay", Hostname: quay, Problem: errors.New("the Secret quay-pull does not exist")})
	c := w.licensed("app")
	w.Do("GET", image+"/manifests/v1", c.basic()).Fails(502, oci.Unavailable).Hides("Secret", "quay-pull")
	if r := w.pulls.last(); r.Reason != imageproxy.UpstreamRefused || !strings.Contains(r.Err.Error(), "the Secret quay-pull does not exist") {
		t.Errorf("recorded %+v", r)
	}
	w.unspoken()
}

// TestNobodyReadsWhatIsOpenToAnotherApp: the same blob is in repositories of both, and its digest opens
// nothing (quirk D8).
func TestNobodyReadsWhatIsOpenToAnotherApp(t *testing.T) {
	w := newWorld(t, config{without: hub})
	mine, others := w.licensed("app"), w.licensed("other")
	w.admit(mine, others)
	secret := w.inner.PutBlob("team/secret", []byte("for the other application"))
	blob := "/blobs/" + secret
	for _, spelt := range []string{inner, innerAlias, strings.Replace(inner, ":", "%3A", 1), strings.Replace(inner, ":", "%3a", 1)} {
		w.Do("GET", "/v2/proxy/other/"+spelt+"/team/secret"+blob, others.basic()).Is(200).Says("for the other application")
	}
	w.network.Forget()
	for _, name := range []string{
		"proxy/app/" + inner + "/team/secret", "proxy/app/" + innerAlias + "/team/secret", "proxy/other/" + inner + "/team/secret", "proxy/other/inner/team/secret",
	} {
		for _, method := range []string{"GET", "HEAD"} {
			w.Do(method, "/v2/"+name+blob, mine.basic()).Is(403)
		}
	}
	w.unspoken()
	// Where the blob is not, its digest finds nothing.
	w.Do("GET", image+blob, mine.basic()).Fails(404, oci.BlobUnknown).Hides("the other")
	token := w.buy(mine, "repository:proxy/app/"+inner+"/team/secret:pull", "repository:proxy/other/"+inner+"/team/secret:pull")
	for _, app := range []string{"app", "other"} {
		w.Do("GET", "/v2/proxy/"+app+"/"+inner+"/team/secret"+blob, bearer(token)).Is(403)
	}
	w.network.None(registrytest.To(inner), registrytest.Sent("GET", "/blobs/"))
}

// TestAnEditIsInForceWithTheNextRequest, for licenses, ids and registries, and for tokens that are about.
func TestAnEditIsInForceWithTheNextRequest(t *testing.T) {
	w := newWorld(t, config{})
	c := w.licensed("app")
	token := w.buy(c, "repository:proxy/app/quay.io/team/api:pull")
	status := func(want int) {
		t.Helper()
		for _, shown := range []proxytest.Option{c.basic(), bearer(token)} {
			for _, path := range w.kinds() {
				w.Do("GET", image+path, shown).Is(want)
			}
		}
		// A token is issued for a license that has ended as well (quirk K7).
		w.Do("GET", "/v2/token", c.basic()).Is(map[int]int{200: 200, 403: 200, 401: 401}[want])
	}
	status(200)
	c.license.Revoked = true
	w.admit(c)
	status(403)
	c.license.Revoked = false
	w.admit(c)
	status(200)
	c.credential.Expires = time.Now().Add(-time.Second)
	w.admit(c)
	status(403)
	w.admit()
	status(401)
	c.credential.Expires = time.Time{}
	w.admit(c)
	status(200)
	w.registries = w.registries[1:]
	w.admit(c)
	w.Do("GET", image+"/blobs/"+w.blob, bearer(token)).Is(404)
}

// TestExpiryNeedsNoEdit: the clock alone ends a license, or one of its ids.
func TestExpiryNeedsNoEdit(t *testing.T) {
	for name, credential := range map[string]func(expires time.Time) *catalog.Credential{
		"license": func(expires time.Time) *catalog.Credential {
			return &catalog.Credential{License: &catalog.License{App: "app", Expires: expires}}
		},
		"id": func(expires time.Time) *catalog.Credential {
			return &catalog.Credential{License: &catalog.License{App: "app", Expires: expires.Add(time.Hour)}, Expires: expires}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				expires := time.Now().Add(time.Hour)
				ask := asking(credential(expires))
				time.Sleep(time.Hour - time.Nanosecond)
				if status := ask(); status != http.StatusOK {
					t.Errorf("at the last moment: %d", status)
				}
				time.Sleep(time.Nanosecond)
				if status := ask(); status != http.StatusForbidden {
					t.Errorf("when it is over: %d", status)
				}
			})
		})
	}
}

// asking returns what asks for /v2/ with a credential, without a network, so that a test can have a clock of
// its own.
func asking(credential *catalog.Credential) (ask func() int) {
	const id = "the license id"
	credential.Hash = sha256.Sum256([]byte(id))
	store := catalog.NewStore()
	store.Replace(catalog.New([]*catalog.Credential{credential}, nil))
	logger := slog.New(slog.DiscardHandler)
	side := imageproxy.New(imageproxy.Config{Engine: engine.New(nil), Catalog: store, Recorder: imageproxy.Recorders{}, Logger: logger})
	handler := httpserver.AccessLog{Side: imageproxy.Side, Logger: logger}.Handler(side.Serve)
	return func() int {
		r := httptest.NewRequest(http.MethodGet, "/v2/", nil)
		r.SetBasicAuth("", id)
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, r)
		return answer.Code
	}
}
