// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/engine"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keyfile"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// many is what a large vendor has.
const many = 10_000

// crowd is the side of a vendor with a number of licenses, and a request of each customer for an image, made
// with the license itself and with a token.
type crowd struct {
	*Proxy
	requests map[string][]*http.Request

	operation oci.Route
	origin    Origin
	reference reference
}

func newCrowd(t testing.TB, licenses int, images ...string) *crowd {
	t.Helper()
	keys, err := ParseTokenKeys("keys", keyfile.Generate())
	if err != nil {
		t.Fatal(err)
	}
	registry, err := upstream.New(upstream.Config{Host: "quay.io"})
	if err != nil {
		t.Fatal(err)
	}
	store, issuer := catalog.NewStore(), NewIssuer(keys, time.Now)
	side := New(Config{
		Engine: engine.New(nil), Catalog: store, Issuer: issuer, Recorder: Recorders{}, Logger: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(side.Close)
	c := &crowd{Proxy: side, requests: map[string][]*http.Request{}}
	credentials := make([]*catalog.Credential, licenses)
	later := time.Now().Add(time.Hour)
	for i := range credentials {
		id := v1alpha1.NewID()
		license := &catalog.License{Name: fmt.Sprintf("customer-%d", i), App: "app", Customer: "Customer", Expires: later, Images: catalog.NewImages(images)}
		credentials[i] = &catalog.Credential{License: license, Name: "license-id", Hash: sha256.Sum256([]byte(id))}
		token, _, err := issuer.Issue(credentials[i].Hash, []string{"proxy/app/quay.io/team/api"})
		if err != nil {
			t.Fatal(err)
		}
		byLicense, byToken := request(t), request(t)
		byLicense.SetBasicAuth("LICENSE_ID", id)
		byToken.Header.Set("Authorization", "Bearer "+token)
		c.requests["license"] = append(c.requests["license"], byLicense)
		c.requests["token"] = append(c.requests["token"], byToken)
	}
	store.Replace(catalog.New(credentials, []*catalog.Registry{{Name: "quay", Hostname: "quay.io", Upstream: registry}}))
	first := c.requests["license"][0]
	c.origin = c.cfg.Proxies.Of(first)
	if c.operation, c.reference, err = c.grammar.read(first.Method, first.URL.EscapedPath()); err != nil {
		t.Fatal(err)
	}
	return c
}

func request(t testing.TB) *http.Request {
	t.Helper()
	return httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v2/proxy/app/quay.io/team/api/manifests/v1", http.NoBody)
}

// admit decides about one request for the image.
func (c *crowd) admit(t testing.TB, r *http.Request) {
	v := &visit{Proxy: c.Proxy, origin: c.origin, reference: c.reference}
	defer v.leave()
	target, err := v.Admit(r, c.operation)
	if err != nil || target.Repository != "team/api" {
		t.Fatalf("admitted to %q, %v", target.Repository, err)
	}
}

// TestAdmissionCostsTheSameWithManyLicenses in memory, which unlike time can be told exactly.
func TestAdmissionCostsTheSameWithManyLicenses(t *testing.T) {
	one, all := newCrowd(t, 1), newCrowd(t, many)
	for shown, requests := range all.requests {
		i := 0
		few := testing.AllocsPerRun(many/10, func() { one.admit(t, one.requests[shown][0]) })
		lot := testing.AllocsPerRun(many/10, func() {
			all.admit(t, requests[i*7%many])
			i++
		})
		if lot > few {
			t.Errorf("admission by %s allocates %v times with %d licenses, and %v times with one", shown, lot, many, few)
		}
	}
}

// TestALookupAllocatesNothing whether the id is somebody's or not.
func TestALookupAllocatesNothing(t *testing.T) {
	c := newCrowd(t, many)
	known := c.cfg.Catalog.Current()
	_, id, _ := c.requests["license"][many/2].BasicAuth()
	for _, each := range []string{id, v1alpha1.NewID()} {
		var found bool
		if n := testing.AllocsPerRun(100, func() { _, found = known.Credential(each) }); n > 0 || found != (each == id) {
			t.Errorf("found: %v, with %v allocations", found, n)
		}
	}
}

// sold are the patterns of a customer who has bought some images.
func sold() []string {
	return []string{"team/web", "team/worker:v1.*", "quay.io/team/tools/**", "team/db:15", "team/api:v1*", "team/api:v2.0"}
}

// knownDigest is one that an open tag leads to, as this replica knows already.
func (c *crowd) knownDigest() oci.Route {
	byDigest := c.operation
	byDigest.Reference = digestN(1)
	known := item{place{"quay", "quay.io", "team/api"}, oci.Manifest, byDigest.Reference}
	c.contents.add(witness{"v1.0", time.Now()}, known)
	return byDigest
}

// BenchmarkAdmission is what tests/bench measures: the check of a license, from the request's header to the
// registry that it opens. Each request is another customer's, so that no license is found where the last one
// was.
func BenchmarkAdmission(b *testing.B) {
	for _, licenses := range []int{1, many} {
		c := newCrowd(b, licenses)
		b.Run(strconv.Itoa(licenses), func(b *testing.B) {
			for _, shown := range []string{"license", "token"} {
				b.Run(shown, func(b *testing.B) {
					b.ReportAllocs()
					requests, i := c.requests[shown], 0
					for b.Loop() {
						c.admit(b, requests[i*7%len(requests)])
						i++
					}
				})
			}
			c := newCrowd(b, licenses, sold()...)
			byTag := c.operation
			for name, operation := range map[string]oci.Route{"tag": byTag, "digest": c.knownDigest()} {
				b.Run(name, func(b *testing.B) {
					b.ReportAllocs()
					c.operation = operation
					requests, i := c.requests["license"], 0
					for b.Loop() {
						c.admit(b, requests[i*7%len(requests)])
						i++
					}
				})
			}
		})
	}
}
