// SPDX-License-Identifier: Apache-2.0

package imageproxy_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

// TestARegistryWithoutHEAD: the blob is asked for itself, and the cache is of use all the same.
func TestARegistryWithoutHEAD(t *testing.T) {
	for _, status := range []int{400, 403, 405, 500, 501} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			dir := t.TempDir()
			url := directory(dir, "size=1GiB")
			w := newWorld(t, config{cache: url})
			acme := w.licensed("app")
			w.warm(dir, w.blob, acme)
			age(t, dir, 25*time.Hour)
			later := newWorld(t, config{cache: url + "&stale=0"})
			later.admit(acme)
			later.quay.When("HEAD", "/v2/team").Answer(status, "")
			later.Do("GET", image+"/blobs/"+w.blob, acme.basic()).Is(200).Says("the layer").Lacks("Warning")
			later.Do("GET", image+"/manifests/v1", acme.basic()).Is(200)
			later.Do("GET", image+"/manifests/v1", acme.basic()).Is(200).Says(`{"schemaVersion":2}`).Lacks("Warning")
		})
	}
}

// TestQuirksOfManifests: without a digest (quirk D2), or compressed unasked (quirk D3), a manifest arrives as it is.
func TestQuirksOfManifests(t *testing.T) {
	const manifest = `{"schemaVersion":2}`
	var compressed bytes.Buffer
	zip := gzip.NewWriter(&compressed)
	_, _ = zip.Write([]byte(manifest))
	_ = zip.Close()
	for name, quirk := range map[string]func(out http.ResponseWriter, r *http.Request, next http.Handler){
		"no digest": func(out http.ResponseWriter, r *http.Request, _ http.Handler) {
			out.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			if r.Method == http.MethodGet {
				_, _ = io.WriteString(out, manifest)
			}
		},
		"compressed": func(out http.ResponseWriter, r *http.Request, _ http.Handler) {
			out.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			out.Header().Set("Content-Encoding", "gzip")
			out.Header().Set("Docker-Content-Digest", registrytest.Digest([]byte(manifest)))
			if r.Method == http.MethodGet {
				_, _ = out.Write(compressed.Bytes())
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, config{cache: "mem://"})
			acme := w.licensed("app")
			w.quay.When("", "/v2/team/api/manifests/").Do(quirk)
			for range 3 {
				for _, reference := range []string{"v1", w.digest} {
					w.Do("HEAD", image+"/manifests/"+reference, acme.basic()).Is(200).Has("Docker-Content-Digest", w.digest)
					w.Do("GET", image+"/manifests/"+reference, acme.basic()).Is(200).Says(manifest).
						Has("Docker-Content-Digest", w.digest).Lacks("Content-Encoding")
				}
			}
		})
	}
}

// TestWhatATagStandsForDependsOnTheClient: a registry that converts a manifest is asked by each kind of client.
func TestWhatATagStandsForDependsOnTheClient(t *testing.T) {
	w := newWorld(t, config{cache: "mem://"})
	acme := w.licensed("app")
	w.quay.When("", "/v2/team/api/manifests/v1").Do(func(out http.ResponseWriter, r *http.Request, _ http.Handler) {
		content := `{"schemaVersion":1}`
		if strings.Contains(r.Header.Get("Accept"), "oci") {
			content = `{"schemaVersion":2}`
		}
		out.Header().Set("Docker-Content-Digest", registrytest.Digest([]byte(content)))
		out.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(out, content)
	})
	ask := func(accept, want string) {
		t.Helper()
		w.Do("GET", image+"/manifests/v1", acme.basic(), proxytest.Header("Accept", accept)).Is(200).Says(want)
	}
	for range 2 {
		ask("application/vnd.oci.image.index.v1+json", `{"schemaVersion":2}`)
		ask("application/vnd.docker.distribution.manifest.v1+json", `{"schemaVersion":1}`)
	}
	w.quay.When("", "/v2/").BreakOff()
	ask("application/vnd.oci.image.index.v1+json", `{"schemaVersion":2}`)
	ask("application/vnd.docker.distribution.manifest.v1+json", `{"schemaVersion":1}`)
}

// TestAClientThatAcceptsNothingHarmsNobody: a registry's refusal of what one client accepts is that client's.
func TestAClientThatAcceptsNothingHarmsNobody(t *testing.T) {
	w := newWorld(t, config{cache: "mem://"})
	acme := w.licensed("app")
	both := make(chan struct{}, 2)
	release := make(chan struct{})
	w.quay.When("GET", "/v2/team/api/manifests/"+w.digest).Do(func(out http.ResponseWriter, r *http.Request, next http.Handler) {
		both <- struct{}{}
		<-release
		if strings.Contains(r.Header.Get("Accept"), "text/plain") {
			http.Error(out, `{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`, http.StatusNotFound)
			return
		}
		next.ServeHTTP(out, r)
	})
	var clients sync.WaitGroup
	for accept, status := range map[string]int{"text/plain": 404, "application/vnd.oci.image.manifest.v1+json": 200} {
		clients.Go(func() {
			w.Do("GET", image+"/manifests/"+w.digest, acme.basic(), proxytest.Header("Accept", accept)).Is(status)
		})
	}
	<-both
	<-both
	close(release)
	clients.Wait()
}

// TestOtherDigests: sha512 is kept as sha256 is, and an algorithm that nobody here can compute passes by.
func TestOtherDigests(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, config{cache: directory(dir, "size=1GiB")})
	acme := w.licensed("app")
	content := someBytes(100_000)
	send := func(out http.ResponseWriter, r *http.Request, _ http.Handler) {
		http.ServeContent(out, r, "", time.Time{}, bytes.NewReader(content))
	}
	long := digest.SHA512.FromBytes(content).String()
	w.quay.When("", long).Do(send)
	w.warm(dir, long, acme)
	w.network.Forget()
	if got := w.Do("GET", image+"/blobs/"+long, acme.basic()).Is(200).Body; !bytes.Equal(got, content) {
		t.Errorf("%d bytes", len(got))
	}
	w.network.None(registrytest.Sent("GET", "/v2/team/api/blobs/"+long))

	unknown := "blake3:" + strings.Repeat("ab", 32)
	w.quay.When("", unknown).Do(send)
	for range 2 {
		if got := w.Do("GET", image+"/blobs/"+unknown, acme.basic()).Is(200).Body; !bytes.Equal(got, content) {
			t.Errorf("%d bytes", len(got))
		}
	}
	w.network.Count(2, registrytest.Sent("GET", "/v2/team/api/blobs/"+unknown))
	if kept := objects(t, dir, "content"); len(kept) != 1 {
		t.Errorf("kept: %v", kept)
	}
	if n := w.counts.of("blob bypass"); n != 2 {
		t.Errorf("counted %d for two answers", n)
	}
}

// TestABigList passes whole, and is not held.
func TestABigList(t *testing.T) {
	w := newWorld(t, config{cache: "mem://"})
	acme := w.licensed("app")
	var tags []string
	for i := range 200_000 {
		tags = append(tags, fmt.Sprintf(`"a-rather-long-tag-%012d"`, i))
	}
	list := `{"name":"team/api","tags":[` + strings.Join(tags, ",") + `]}`
	w.quay.When("GET", "/tags/list").Answer(200, list, "Content-Type", "application/json")
	for range 2 {
		if got := w.Do("GET", image+"/tags/list", acme.basic()).Is(200).Body; bytes.Count(got, []byte("a-rather-long-tag")) != len(tags) {
			t.Errorf("%d bytes of %d", len(got), len(list))
		}
	}
}

// TestDamagedAnswers: whatever the storage has in place of what a registry said, nobody gets something wrong, and
// it is replaced.
func TestDamagedAnswers(t *testing.T) {
	dir := t.TempDir()
	url := directory(dir, "size=1GiB")
	w := newWorld(t, config{cache: url})
	acme := w.licensed("app")
	paths := map[string]string{
		"/manifests/v1": `{"schemaVersion":2}`, "/manifests/" + w.digest: `{"schemaVersion":2}`, "/blobs/" + w.blob: "the layer",
	}
	for path := range paths {
		w.Do("GET", image+path, acme.basic()).Is(200)
	}
	w.warm(dir, w.blob, acme)
	for name, damage := range map[string]func([]byte) []byte{
		"empty":       func([]byte) []byte { return nil },
		"cut":         func(b []byte) []byte { return b[:len(b)/2] },
		"null":        func([]byte) []byte { return []byte("null") },
		"no header":   func([]byte) []byte { return []byte(`{"at":"2026-01-01T00:00:00Z","size":4}`) },
		"no digest":   func([]byte) []byte { return []byte(`{"at":"2999-01-01T00:00:00Z","header":{},"size":4,"body":"e30="}`) },
		"other body":  func(b []byte) []byte { return bytes.Replace(b, []byte(`"body":"ey`), []byte(`"body":"eX`), 1) },
		"other size":  func(b []byte) []byte { return bytes.Replace(b, []byte(`"size":`), []byte(`"size":1`), 1) },
		"not there":   func([]byte) []byte { return bytes.Repeat([]byte("x"), 9<<20) },
		"a web page":  func([]byte) []byte { return []byte("<html>") },
		"other types": func([]byte) []byte { return []byte(`{"at":1,"header":[],"size":"x"}`) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range objects(t, dir, "answers") {
				content, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, damage(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			again := newWorld(t, config{cache: url})
			again.admit(acme)
			for path, want := range paths {
				again.Do("GET", image+path, acme.basic()).Is(200).Says(want)
			}
			down := newWorld(t, config{cache: url})
			down.admit(acme)
			down.quay.When("", "/v2/").BreakOff()
			eventually(t, func() bool {
				again.Do("GET", image+"/blobs/"+w.blob, acme.basic()).Is(200)
				return len(objects(t, dir, "content")) > 0
			})
			for path, want := range paths {
				down.Do("GET", image+path, acme.basic()).Is(200).Says(want)
			}
		})
	}
}

// TestTwoReplicas on one storage: what one has pulled the other has, and in an outage both know the same.
func TestTwoReplicas(t *testing.T) {
	url := directory(t.TempDir(), "size=1GiB")
	one, two := newWorld(t, config{cache: url}), newWorld(t, config{cache: url})
	acme := one.licensed("app")
	two.admit(acme)
	for _, w := range []*world{one, two} {
		w.Do("GET", image+"/manifests/v1", acme.basic()).Is(200).Has("Docker-Content-Digest", w.digest)
	}
	one.Do("GET", image+"/blobs/"+one.blob, acme.basic()).Is(200)
	eventually(t, func() bool {
		two.Do("GET", image+"/blobs/"+one.blob, acme.basic()).Is(200)
		return two.counts.of("blob hit") > 0
	})
	moved := two.quay.PutManifest("team/api", "application/vnd.oci.image.manifest.v1+json", []byte(`{"moved":true}`), "v1")
	two.Do("GET", image+"/manifests/v1", acme.basic()).Is(200).Has("Docker-Content-Digest", moved)
	for _, w := range []*world{one, two} {
		w.quay.When("", "/v2/").BreakOff()
		w.Do("GET", image+"/manifests/v1", acme.basic()).Is(200).Has("Docker-Content-Digest", moved).Says("moved")
	}
}
