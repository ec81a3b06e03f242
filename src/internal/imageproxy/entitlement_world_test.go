// SPDX-License-Identifier: Apache-2.0

package imageproxy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

const (
	indexType    = "application/vnd.oci.image.index.v1+json"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
)

// release is an image for two platforms, with a signature and a list of its parts.
type release struct {
	index, child string
	// blobs are the child's; every release has the last one, and only this one the others.
	blobs []string
	// signature is what a tag made of the digest points to, and parts what refers to the child.
	signature, parts         string
	signatureBlob, partsBlob string
}

// publish puts a release into a repository.
func publish(registry *registrytest.Registry, repository, name string, tags ...string) release {
	var r release
	base := registry.PutBlob(repository, []byte("the base"))
	image := func(platform string) (digest string, blobs []string) {
		config := registry.PutBlob(repository, []byte(name+" config of "+platform))
		layer := registry.PutBlob(repository, []byte(name+" layer of "+platform))
		body := fmt.Sprintf(`{"schemaVersion":2,"config":{"digest":%q},"layers":[{"digest":%q},{"digest":%q}]}`, config, layer, base)
		return registry.PutManifest(repository, manifestType, []byte(body)), []string{config, layer, base}
	}
	other, _ := image("arm64")
	r.child, r.blobs = image("amd64")
	r.index = registry.PutManifest(repository, indexType,
		fmt.Appendf(nil, `{"schemaVersion":2,"manifests":[{"digest":%q},{"digest":%q}]}`, other, r.child), tags...)
	r.signatureBlob = registry.PutBlob(repository, []byte(name+" signature"))
	r.signature = registry.PutManifest(repository, manifestType,
		fmt.Appendf(nil, `{"schemaVersion":2,"layers":[{"digest":%q}]}`, r.signatureBlob), signatureTag(r.index))
	r.partsBlob = registry.PutBlob(repository, []byte(name+" parts"))
	r.parts = registry.PutManifest(repository, manifestType,
		fmt.Appendf(nil, `{"schemaVersion":2,"artifactType":"application/x","layers":[{"digest":%q}],"subject":{"digest":%q}}`, r.partsBlob, r.child))
	return r
}

func signatureTag(digest string) string { return strings.Replace(digest, ":", "-", 1) + ".sig" }

// paths are all that can be asked for of a release by digest, and nothing that others have as well.
func (r release) paths() []string {
	return []string{
		"/manifests/" + r.index, "/manifests/" + r.child, "/blobs/" + r.blobs[0], "/blobs/" + r.blobs[1],
		"/referrers/" + r.index, "/referrers/" + r.child, "/manifests/" + signatureTag(r.index), "/manifests/" + r.signature,
		"/blobs/" + r.signatureBlob, "/manifests/" + r.parts, "/blobs/" + r.partsBlob,
	}
}

// store is a repository with three releases, the last of which is tagged twice.
type store struct {
	*world
	first, second, third release
}

func newStore(t *testing.T, cfg config) *store {
	t.Helper()
	s := &store{world: newWorld(t, cfg)}
	s.first = publish(s.quay, "team/app", "first", "v1.0")
	s.second = publish(s.quay, "team/app", "second", "v1.1")
	s.third = publish(s.quay, "team/app", "third", "v2.0", "latest")
	return s
}

// sells puts a license for some images in force, and returns its holder.
func (w *world) sells(images ...string) *customer {
	c := w.licensed("app")
	c.license.Images = catalog.NewImages(images)
	w.admit(c)
	return c
}

const app = "/v2/proxy/app/quay.io/team/app"
