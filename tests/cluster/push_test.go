// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// clientName is the image as existing clients write it.
const clientName = "local-source-proxy." + namespace + ".svc.cluster.local/source"

// A user with no rights of his own pushes with a registry client's library.
func TestPushWithLibrary(t *testing.T) {
	u := installFor(t, nil)
	step(t, "the developer, of the group system:authenticated only, pushes three layers through the API server")
	image, err := random.Image(1<<20, 3)
	if err != nil {
		t.Fatal(err)
	}
	want, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(clientName + ":tests-library")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, image, remote.WithContext(t.Context()), remote.WithTransport(as(t, "developer"))); err != nil {
		t.Fatal(err)
	}
	checkUpstream(t, u, "tests-library", want.String())
}

// checkUpstream reads an image from the upstream, all of it, and compares its digest.
func checkUpstream(t *testing.T, u *upstream, tag, want string) {
	t.Helper()
	checkUpstreamIn(t, u, repository, tag, want)
}

// checkUpstreamIn is checkUpstream for a repository of the upstream.
func checkUpstreamIn(t *testing.T, u *upstream, repository, tag, want string) {
	t.Helper()
	ref, err := name.ParseReference(u.host + "/" + repository + ":" + tag)
	if err != nil {
		t.Fatal(err)
	}
	image, err := remote.Image(ref, u.options(t, repository)...)
	if err != nil {
		t.Fatalf("the upstream does not have it: %v", err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if digest.String() != want {
		t.Fatalf("the upstream has %s, pushed was %s", digest, want)
	}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, layer := range layers {
		content, err := layer.Compressed() // verifies the digest while it is read
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, content); err != nil {
			t.Fatalf("a layer in the upstream is not whole: %v", err)
		}
		content.Close()
	}
	step(t, "the upstream has %s as %s", tag, digest)
}

// The published client's push, request by request.
func TestPushAsRecorded(t *testing.T) {
	u := installFor(t, nil)
	dev := as(t, "developer")
	step(t, "the recorded exchange: health, ping, manifest, blobs, uploads, manifests")
	if err := health(t, dev, http.StatusOK, "200"); err != nil {
		t.Fatal(err)
	}
	got := dev.expect(t, http.StatusOK, "GET", prefix+"/v2")
	if path := got.header.Get("Lsp-Registry-Path"); path != u.host+"/"+repository {
		t.Fatalf("Lsp-Registry-Path is %q, not %s/%s", path, u.host, repository)
	}
	dev.expect(t, http.StatusNotFound, "HEAD", prefix+"/v2/source/manifests/tests-recorded")

	config, layer := []byte(`{"architecture":"","os":"","rootfs":{"type":"layers","diff_ids":[]},"config":{}}`), []byte(strings.Repeat("source\n", 1000))
	for _, content := range [][]byte{config, layer} {
		pushRecorded(t, dev, content)
	}
	manifest := fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",`+
		`"config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":%d,"digest":%q},`+
		`"layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","size":%d,"digest":%q}]}`,
		len(config), digestOf(config), len(layer), digestOf(layer))
	digest := digestOf([]byte(manifest))
	for _, tag := range []string{"tests-recorded", strings.Replace(digest, ":", "-", 1) + ".imgpkg"} {
		header := http.Header{"Content-Type": {"application/vnd.docker.distribution.manifest.v2+json"}}
		got, err := dev.do(t.Context(), "PUT", prefix+"/v2/source/manifests/"+tag, strings.NewReader(manifest), header)
		if err != nil || got.status != http.StatusCreated {
			t.Fatalf("PUT manifest %s: %v, status %d\n%s", tag, err, got.status, got.body)
		}
	}
	if got := dev.expect(t, http.StatusOK, "HEAD", prefix+"/v2/source/manifests/tests-recorded").header.Get("Docker-Content-Digest"); got != digest {
		t.Fatalf("the tag has the digest %s, pushed was %s", got, digest)
	}
	checkUpstream(t, u, "tests-recorded", digest)
}

// pushRecorded is steps 4 to 7: look, begin, one chunked PATCH, PUT.
func pushRecorded(t *testing.T, dev *throughAPIServer, content []byte) {
	t.Helper()
	digest := digestOf(content)
	dev.expect(t, http.StatusNotFound, "HEAD", dev.way+"/v2/source/blobs/"+digest)
	location := dev.expect(t, http.StatusAccepted, "POST", dev.way+"/v2/source/blobs/uploads").header.Get("Location")
	if !strings.HasPrefix(location, dev.way+"/v2/source/blobs/uploads/") {
		t.Fatalf("the Location of an upload is %q: not behind the API server's prefix", location)
	}
	// A reader of unknown length is sent chunked.
	got, err := dev.do(t.Context(), "PATCH", location, io.MultiReader(bytes.NewReader(content)), http.Header{"Content-Type": {"application/octet-stream"}})
	if err != nil || got.status != http.StatusAccepted {
		t.Fatalf("PATCH: %v, status %d\n%s", err, got.status, got.body)
	}
	dev.expect(t, http.StatusCreated, "PUT", got.header.Get("Location")+"?digest="+digest)
	dev.expect(t, http.StatusOK, "HEAD", dev.way+"/v2/source/blobs/"+digest)
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Who is not among the subjects does not get as far as the proxy; nobody can delete; what was pushed is not
// for reading.
func TestRefused(t *testing.T) {
	team := []values{{"kind": "Group", "name": "team-a", "apiGroup": "rbac.authorization.k8s.io"}}
	installFor(t, values{"rbac_subjects_for_proxy_access": team})
	developer, colleague, admin := as(t, "developer"), as(t, "colleague"), as(t, "admin")

	step(t, "a colleague of team-a pushes a blob; the developer, who is not of it, gets 403 for everything")
	content := []byte("a blob of the team")
	pushRecorded(t, colleague, content)
	before := served(t)
	for _, path := range []string{"/health", "/v2/", "/v2/source/manifests/x", "/v2/source/blobs/" + digestOf(content)} {
		developer.expect(t, http.StatusForbidden, "GET", prefix+path)
	}
	developer.expect(t, http.StatusForbidden, "POST", prefix+"/v2/source/blobs/uploads/")
	if after := served(t); after != before {
		t.Errorf("the proxy saw requests of a user without permission: %s before, %s after", before, after)
	}

	step(t, "nobody deletes: the colleague has no such verb, and the administrator is refused by the proxy")
	for _, path := range []string{"/v2/source/blobs/" + digestOf(content), "/v2/source/manifests/" + digestOf(content)} {
		colleague.expect(t, http.StatusForbidden, "DELETE", prefix+path)
		if got := admin.expect(t, http.StatusMethodNotAllowed, "DELETE", prefix+path); !strings.Contains(got.body, "UNSUPPORTED") {
			t.Errorf("DELETE %s as the administrator: %s", path, got.body)
		}
	}

	step(t, "nobody reads a blob; that it is there may be asked")
	for _, user := range []*throughAPIServer{colleague, admin} {
		if got := user.expect(t, http.StatusForbidden, "GET", prefix+"/v2/source/blobs/"+digestOf(content)); !strings.Contains(got.body, "DENIED") {
			t.Errorf("GET of a blob: %s", got.body)
		}
		user.expect(t, http.StatusOK, "HEAD", prefix+"/v2/source/blobs/"+digestOf(content))
	}
}

// served is what the pods counted as requests at the source proxy, by operation.
func served(t *testing.T) string {
	t.Helper()
	var lines []string
	for _, pod := range pods(t) {
		for _, line := range strings.Split(podMetrics(t, pod.ip), "\n") {
			if strings.HasPrefix(line, "lsp_requests_total") {
				lines = append(lines, pod.name+" "+line)
			}
		}
	}
	if len(lines) == 0 {
		t.Fatal("no pod counted a request")
	}
	return strings.Join(lines, "\n")
}
