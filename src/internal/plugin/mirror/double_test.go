// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// double is a registry that counts requests, and may answer some itself.
type double struct {
	*testing.T
	host string
	mu   sync.Mutex
	seen []string // method and path
	// before answers a request itself when it returns true.
	before func(w http.ResponseWriter, r *http.Request) bool
}

func newDouble(t *testing.T, options ...registry.Option) *double {
	t.Helper()
	d := &double{T: t}
	inner := registry.New(append(options, registry.Logger(log.New(io.Discard, "", 0)))...)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		d.seen = append(d.seen, r.Method+" "+r.URL.Path)
		before := d.before
		d.mu.Unlock()
		if before == nil || !before(w, r) {
			inner.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	d.host = strings.TrimPrefix(server.URL, "http://")
	return d
}

// count is how many requests there were of a method whose path has a part, since the last time.
func (d *double) count(method, part string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, one := range d.seen {
		if strings.HasPrefix(one, method+" ") && strings.Contains(one, part) {
			n++
		}
	}
	return n
}

func (d *double) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen = nil
}

func (d *double) answer(before func(w http.ResponseWriter, r *http.Request) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.before = before
}

func (d *double) repository(path string) name.Repository {
	d.Helper()
	repository, err := name.NewRepository(d.host + "/" + path)
	if err != nil {
		d.Fatal(err)
	}
	return repository
}

// put writes an image or an index, and returns its digest.
func (d *double) put(path, reference string, what remote.Taggable) v1.Hash {
	d.Helper()
	digest, err := what.(interface{ Digest() (v1.Hash, error) }).Digest()
	if err != nil {
		d.Fatal(err)
	}
	if reference == "" {
		reference = digest.String()
	}
	if err := remote.Push(identify(d.repository(path), reference), what); err != nil {
		d.Fatal(err)
	}
	return digest
}

func image(t *testing.T) v1.Image {
	t.Helper()
	img, err := random.Image(2000, 3)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func index(t *testing.T) v1.ImageIndex {
	t.Helper()
	inner := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: image(t)})
	return mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: image(t)}, mutate.IndexAddendum{Add: image(t)}, mutate.IndexAddendum{Add: inner})
}

// about makes an image that refers to a manifest.
func about(t *testing.T, subject v1.Hash, mediaType types.MediaType) v1.Image {
	t.Helper()
	return mutate.Subject(mutate.MediaType(image(t), types.OCIManifestSchema1), v1.Descriptor{MediaType: mediaType, Digest: subject, Size: 1}).(v1.Image)
}

// vendor has one image of each kind: an index with a referrer of itself, of one of its images, and a referrer of
// a referrer; signatures by cosign's tags; a plain image.
type vendor struct {
	*double
	index, plain v1.Hash
	attached     map[string]string // digests, by the tag where they have one
}

func newVendor(t *testing.T, options ...registry.Option) *vendor {
	t.Helper()
	v := &vendor{double: newDouble(t, options...), attached: map[string]string{}}
	idx := index(t)
	v.index = v.put("team/api", "v1", idx)
	v.plain = v.put("team/web", "v2", image(t))
	manifest, err := idx.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	first := v.put("team/api", "", about(t, v.index, types.OCIImageIndex))
	second := v.put("team/api", "", about(t, manifest.Manifests[1].Digest, types.DockerManifestSchema2))
	third := v.put("team/api", "", about(t, first, types.OCIManifestSchema1))
	for _, one := range []v1.Hash{first, second, third} {
		v.attached[one.String()] = one.String()
	}
	for _, tag := range []string{fallbackTag(v.index) + ".sig", fallbackTag(v.index) + ".att", fallbackTag(manifest.Manifests[0].Digest) + ".sbom"} {
		v.attached[tag] = v.put("team/api", tag, image(t)).String()
	}
	return v
}

// images are what an application has of the vendor.
func (v *vendor) images() []Image {
	return []Image{
		{Name: "api:v1", From: v.repository("team/api"), Path: "vendor.example/team/api", Tag: "v1"},
		{Name: "web@sha256", From: v.repository("team/web"), Path: "vendor.example/team/web", Digest: v.plain.String()},
	}
}

func (v *vendor) source() *Registries {
	v.Helper()
	source, err := NewRegistries(License{}, nil, http.DefaultTransport, 4)
	if err != nil {
		v.Fatal(err)
	}
	return source
}

func target(t *testing.T, d *double) *Registry {
	t.Helper()
	registry, err := NewRegistry(d.host+"/mirror", authn.DefaultKeychain, http.DefaultTransport, 4)
	if err != nil {
		t.Fatal(err)
	}
	return registry
}

// mustCopy copies and fails for any image that was not.
func mustCopy(t *testing.T, source Source, to Target, images []Image) []Result {
	t.Helper()
	results, err := (&Copier{Source: source, Target: to, Concurrency: 4}).Copy(t.Context(), images)
	for _, result := range results {
		err = errors.Join(err, result.Err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return results
}

// arrived compares a mirror with the vendor, as any client reads it.
func (v *vendor) arrived(at *double) {
	v.Helper()
	api := at.repository("mirror/vendor.example/team/api")
	got, err := remote.Index(api.Tag("v1"))
	if err == nil {
		err = validate.Index(got)
	}
	if err != nil {
		v.Fatalf("the index: %v", err)
	}
	if digest, err := got.Digest(); err != nil || digest != v.index {
		v.Errorf("the index is %s, %v", digest, err)
	}
	plain, err := remote.Image(at.repository("mirror/vendor.example/team/web").Digest(v.plain.String()))
	if err == nil {
		err = validate.Image(plain)
	}
	if err != nil {
		v.Errorf("the image: %v", err)
	}
	for reference, digest := range v.attached {
		one, err := remote.Image(identify(api, reference))
		if err == nil {
			err = validate.Image(one)
		}
		if err != nil {
			v.Errorf("%s: %v", reference, err)
			continue
		}
		if got, err := one.Digest(); err != nil || got.String() != digest {
			v.Errorf("%s is %s, %v", reference, got, err)
		}
		v.refers(api, one, digest)
	}
}

// refers checks that a registry lists what refers to a manifest.
func (v *vendor) refers(repository name.Repository, one v1.Image, digest string) {
	v.Helper()
	manifest, err := one.Manifest()
	if err != nil || manifest.Subject == nil {
		return
	}
	listed, err := remote.Referrers(repository.Digest(manifest.Subject.Digest.String()))
	if err != nil {
		v.Fatal(err)
	}
	all, err := listed.IndexManifest()
	if err != nil {
		v.Fatal(err)
	}
	for _, entry := range all.Manifests {
		if entry.Digest.String() == digest {
			return
		}
	}
	v.Errorf("%s does not list %s", manifest.Subject.Digest, digest)
}
