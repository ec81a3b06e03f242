// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// site is a vendor with an image proxy, and a customer with a registry of his own.
type site struct {
	*place
	vendor  *harness.Registry
	proxy   string // the image proxy's address
	own     *harness.Registry
	gate    *gate  // in front of own
	objects string // the image proxy's directory
	// digests of what the vendor has, by tag or digest, and how many bytes that is.
	digests map[string]string
}

// newSite has an index of two platforms, signed in each way, in the vendor's registry.
func newSite(t *testing.T) *site {
	t.Helper()
	program := harness.Tool(t, "registry")
	s := &site{
		place: newPlace(t), digests: map[string]string{},
		vendor: harness.Distribution{Program: program, Basic: true}.Start(t), own: harness.Distribution{Program: program, Basic: true}.Start(t),
	}
	index := harness.Index(t)
	s.push("v1", index)
	subject, err := partial.Descriptor(index)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	s.push("", mutate.Subject(harness.Image(t), *subject).(v1.Image))
	s.push("", mutate.Subject(harness.Image(t), manifest.Manifests[1]).(v1.Image))
	s.push(strings.Replace(subject.Digest.String(), ":", "-", 1)+".sig", harness.Image(t))
	s.push(strings.Replace(subject.Digest.String(), ":", "-", 1)+".att", harness.Image(t))
	s.objects = filepath.Dir(s.file("objects/registry.yml", "apiVersion: imageproxy.apps.tanzu.vmware.com/v1alpha1\nkind: ExternalRegistry\nmetadata: {name: vendor}\n"+
		"spec: {hostname: '"+s.vendor.Host+"', alias: vendor, credentials: {dockerConfigFile: config.json}}\n"))
	s.file("objects/config.json", string(s.vendor.DockerConfig(t)))
	s.license("")
	s.proxy = harness.Start(t, harness.Options{
		Flags:   []string{"--listen-address=", "--image-proxy-address=127.0.0.1:0", "--image-proxy-dir=" + s.objects},
		Secrets: []string{harness.Password, licenseID, base64.StdEncoding.EncodeToString([]byte("LICENSE_ID:" + licenseID))},
	}).Images
	s.gate = newGate(t, s.own)
	s.env = append(s.env, "DOCKER_CONFIG="+filepath.Dir(s.file("docker/config.json", string(harness.DockerConfig(t, s.gate.host, s.own.Username, s.own.Password)))))
	s.file("license.yaml", customer)
	s.file("base/pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: '"+s.vendor.Host+"/"+harness.Repository+":v1'}]}\n")
	return s
}

// license puts the customer's in force, with more in its spec.
func (s *site) license(spec string) {
	s.Helper()
	hash := sha256.Sum256([]byte(licenseID))
	s.file("objects/license.yml", "apiVersion: imageproxy.apps.tanzu.vmware.com/v1alpha1\nkind: License\nmetadata: {name: acme}\n"+
		"spec: {appSlug: my-kots-app, customerName: Acme, "+spec+"credentials: [{name: license-id, sha256: "+hex.EncodeToString(hash[:])+"}]}\n")
}

// push puts something into the vendor's registry, and remembers its digest.
func (s *site) push(reference string, what remote.Taggable) {
	s.Helper()
	digest := harness.Digest(s.T, what.(interface{ Digest() (v1.Hash, error) }))
	if reference == "" {
		reference = digest
	}
	if err := remote.Push(s.vendor.Reference(s.T, reference), what, s.vendor.Options(s.T)...); err != nil {
		s.Fatal(err)
	}
	s.digests[reference] = digest
}

func (s *site) to() string { return s.gate.host + "/apps" }

// args are those of every use.
func (s *site) args(more ...string) []string {
	return append([]string{
		"mirror", "--base", "base", "--license-file", "license.yaml", "--proxy-domain", s.proxy, "--alias", s.vendor.Host + "=vendor",
	}, more...)
}

// path is where the vendor's repository is in the customer's registry.
func (s *site) path() string {
	return "apps/" + strings.Replace(s.vendor.Host, ":", "_", 1) + "/" + harness.Repository
}

// arrived compares the customer's registry with the vendor's.
func (s *site) arrived() {
	s.Helper()
	for reference, digest := range s.digests {
		s.own.AssertArrivedAt(s.T, s.path(), reference, digest)
	}
	for _, want := range []string{"v1"} {
		repository := harness.Reference(s.T, s.own.Host, s.path(), want).Context()
		listed, err := remote.Referrers(repository.Digest(s.digests[want]), s.own.Options(s.T)...)
		if err != nil {
			s.Fatal(err)
		}
		if manifest, err := listed.IndexManifest(); err != nil || len(manifest.Manifests) != 1 {
			s.Errorf("%s is referred to by %+v, %v", want, manifest, err)
		}
	}
}

// gate stands in front of a registry, counts, and looks at what it is shown.
type gate struct {
	host string
	mu   sync.Mutex
	// counts of requests by method, and everything that headers and paths said.
	counts map[string]int
	shown  strings.Builder
	// onUpload is called ahead of each upload's body with its number; it may hold it back.
	onUpload func(ctx context.Context, number int)
}

func newGate(t *testing.T, registry *harness.Registry) *gate {
	t.Helper()
	g := &gate{counts: map[string]int{}}
	inner := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: registry.Host})
			r.Out.Host = g.host
		},
		ErrorLog: nil,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.counts[r.Method]++
		number, hold := g.counts[r.Method], g.onUpload
		user, password, _ := r.BasicAuth()
		fmt.Fprintln(&g.shown, r.URL, r.Header, user, password)
		g.mu.Unlock()
		if r.Method == http.MethodPatch && hold != nil {
			hold(r.Context(), number)
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	g.host = strings.TrimPrefix(server.URL, "http://")
	return g
}

// take returns the counts, and begins anew.
func (g *gate) take() map[string]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	counts := maps.Clone(g.counts)
	clear(g.counts)
	return counts
}

func (g *gate) hold(onUpload func(ctx context.Context, number int)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.onUpload = onUpload
}
