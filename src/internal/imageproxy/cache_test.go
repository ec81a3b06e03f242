// SPDX-License-Identifier: Apache-2.0

package imageproxy_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

// storages are those that every test of the cache can run on.
func storages(t *testing.T) map[string]string {
	return map[string]string{"directory": directory(t.TempDir(), "size=1GiB"), "memory": "mem://?size=64MiB"}
}

// someBytes are the same each time.
func someBytes(n int) []byte {
	content := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(content)
	return content
}

// TestTheSecondPullAsksForLittle: blobs and manifests by digest come from the cache, and a tag is looked at.
func TestTheSecondPullAsksForLittle(t *testing.T) {
	for name, url := range storages(t) {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, config{cache: url})
			acme := w.licensed("app")
			pull := func() {
				w.Do("HEAD", image+"/manifests/v1", acme.basic()).Is(200).Has("Docker-Content-Digest", w.digest)
				w.Do("GET", image+"/manifests/v1", acme.basic()).Is(200).Says(`{"schemaVersion":2}`).Has("Docker-Content-Digest", w.digest).
					Has("Content-Type", "application/vnd.oci.image.manifest.v1+json")
				w.Do("GET", image+"/manifests/"+w.digest, acme.basic()).Is(200).Says(`{"schemaVersion":2}`)
				w.Do("HEAD", image+"/blobs/"+w.blob, acme.basic()).Is(200).Has("Content-Length", "9")
				w.Do("GET", image+"/blobs/"+w.blob, acme.basic()).Is(200).Says("the layer").
					Has("Docker-Content-Digest", w.blob).Has("Content-Length", "9").Has("Cache-Control", "private, no-cache").Lacks("Warning")
				w.Do("GET", image+"/blobs/"+w.blob, acme.basic(), proxytest.Header("Range", "bytes=4-6")).Is(206).Says("lay")
			}
			pull()
			eventually(t, func() bool {
				w.Do("GET", image+"/blobs/"+w.blob, acme.basic()).Is(200)
				return w.counts.of("blob hit") > 0
			})
			w.network.Forget()
			pull()
			w.network.None(registrytest.Sent("GET", "/v2/team/api/manifests/v1"))
			w.network.None(registrytest.Sent("GET", "/v2/team/api/blobs/"+w.blob))
			w.network.None(registrytest.Sent("HEAD", "/v2/team/api/blobs/"+w.blob))
			w.network.None(registrytest.Sent("GET", "/v2/team/api/manifests/"+w.digest))
			w.network.Count(2, registrytest.Sent("HEAD", "/v2/team/api/manifests/v1"))
		})
	}
}

// TestAMovedTagIsSeenAtOnce, by whichever method it is asked for.
func TestAMovedTagIsSeenAtOnce(t *testing.T) {
	w := newWorld(t, config{cache: "mem://"})
	acme := w.licensed("app")
	w.Do("GET", image+"/manifests/v1", acme.basic()).Is(200).Has("Docker-Content-Digest", w.digest)
	moved := w.quay.PutManifest("team/api", "application/vnd.oci.image.manifest.v1+json", []byte(`{"schemaVersion":2,"moved":true}`), "v1")
	w.Do("HEAD", image+"/manifests/v1", acme.basic()).Is(200).Has("Docker-Content-Digest", moved)
	w.Do("GET", image+"/manifests/v1", acme.basic()).Is(200).Says("moved").Has("Docker-Content-Digest", moved)
	w.Do("GET", image+"/tags/list", acme.basic()).Is(200).Says(`"tags":["v1","v2"]`)
	w.quay.PutManifest("team/api", "application/vnd.oci.image.manifest.v1+json", []byte(`{}`), "v3")
	w.Do("GET", image+"/tags/list", acme.basic()).Is(200).Says(`"tags":["v1","v2","v3"]`)
}

// inPieces makes a registry send a blob in pieces, each when it is told to.
func inPieces(registry *registrytest.Registry, digest string, content []byte, piece int) (next chan<- struct{}) {
	steps := make(chan struct{})
	registry.When("GET", digest).Do(func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		for rest := content; len(rest) > 0; {
			select {
			case <-steps:
			case <-r.Context().Done():
				return
			}
			n := min(piece, len(rest))
			_, _ = w.Write(rest[:n])
			_ = http.NewResponseController(w).Flush()
			rest = rest[n:]
		}
	})
	return steps
}

// open begins to read a blob.
func (w *world) open(ctx context.Context, digest string, c *customer, options ...proxytest.Option) *http.Response {
	w.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.URL+image+"/blobs/"+digest, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, option := range append(options, c.basic()) {
		option(req)
	}
	resp, err := w.Client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// read reads so many bytes of an answer.
func read(t *testing.T, resp *http.Response, n int) []byte {
	t.Helper()
	content := make([]byte, n)
	if _, err := io.ReadFull(resp.Body, content); err != nil {
		t.Fatal(err)
	}
	return content
}

// TestAllWhoWaitShareADownload: each reads what has arrived, the first one leaves, a range is served when it is
// there, and the registry sends the blob once.
func TestAllWhoWaitShareADownload(t *testing.T) {
	w := newWorld(t, config{cache: directory(t.TempDir(), "size=1GiB")})
	acme := w.licensed("app")
	content := someBytes(1 << 20)
	digest := w.quay.PutBlob("team/api", content)
	next := inPieces(w.quay, digest, content, 256<<10)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	step := func() { next <- struct{}{} }
	var started sync.WaitGroup
	started.Go(step)
	first := w.open(ctx, digest, acme)
	started.Wait()
	read(t, first, 200<<10)
	second := w.open(t.Context(), digest, acme)
	if got := read(t, second, 250<<10); !bytes.Equal(got, content[:250<<10]) {
		t.Error("the second reads something else")
	}
	leave()
	ranged := w.open(t.Context(), digest, acme, proxytest.Header("Range", "bytes=262144-262147"))
	if arrived := w.counts.of("blob shared"); arrived != 2 {
		t.Errorf("%d share the download", arrived)
	}
	step()
	if got := read(t, ranged, 4); ranged.StatusCode != 206 || !bytes.Equal(got, content[262144:262148]) {
		t.Errorf("the range is %d, %v", ranged.StatusCode, got)
	}
	step()
	step()
	if rest, err := io.ReadAll(second.Body); err != nil || !bytes.Equal(rest, content[250<<10:]) {
		t.Errorf("the rest: %d bytes, %v", len(rest), err)
	}
	w.network.Count(1, registrytest.Sent("GET", "/v2/team/api/blobs/"+digest))
	if w.counts.of("blob miss") != 1 || w.counts.of("blob shared") != 2 {
		t.Errorf("counted: %v", w.counts.answers)
	}
}

// TestARegistryThatBreaksOffIsContinued, wherever it does, whether or not it has ranges.
func TestARegistryThatBreaksOffIsContinued(t *testing.T) {
	content := someBytes(300_000)
	for _, ranges := range []bool{true, false} {
		for tenth := range 10 {
			t.Run(fmt.Sprintf("ranges %v, at %d0%%", ranges, tenth), func(t *testing.T) {
				w := newWorld(t, config{cache: "mem://"})
				acme := w.licensed("app")
				digest := w.quay.PutBlob("team/api", content)
				if !ranges {
					w.quay.When("GET", digest).Do(func(out http.ResponseWriter, r *http.Request, next http.Handler) {
						r.Header.Del("Range")
						next.ServeHTTP(out, r)
					})
				}
				w.quay.When("GET", digest).Times(1).Do(func(out http.ResponseWriter, _ *http.Request, _ http.Handler) {
					out.Header().Set("Content-Length", strconv.Itoa(len(content)))
					_, _ = out.Write(content[:len(content)/10*tenth])
					_ = http.NewResponseController(out).Flush()
					panic(http.ErrAbortHandler)
				})
				if got := w.Do("GET", image+"/blobs/"+digest, acme.basic()).Is(200).Body; !bytes.Equal(got, content) {
					t.Errorf("%d bytes, which are others", len(got))
				}
			})
		}
	}
}

// TestWhatIsWrongIsNeverWhole: a registry that sends another content, less of it, or more, completes nobody's
// answer, and nothing is kept.
func TestWhatIsWrongIsNeverWhole(t *testing.T) {
	content := someBytes(100_000)
	other := bytes.Clone(content)
	other[50_000] ^= 1
	send := func(body []byte, length int) func(http.ResponseWriter, *http.Request, http.Handler) {
		return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			if length >= 0 {
				w.Header().Set("Content-Length", strconv.Itoa(length))
			}
			if r.Header.Get("Range") != "" {
				w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
				return
			}
			_, _ = w.Write(body)
		}
	}
	for name, test := range map[string]struct {
		body   []byte
		length int
	}{
		"one bit":                  {other, len(other)},
		"one bit, of no length":    {other, -1},
		"too little":               {content[:99_999], 99_999},
		"too little, of no length": {content[:99_999], -1},
		"less than it says":        {content[:99_999], 100_000},
		"too much":                 {append(bytes.Clone(content), 'x'), 100_001},
		"too much, of no length":   {append(bytes.Clone(content), 'x'), -1},
		"nothing":                  {nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			w := newWorld(t, config{cache: directory(dir, "size=1GiB")})
			acme := w.licensed("app")
			digest := registrytest.Digest(content)
			w.quay.When("GET", digest).Do(send(test.body, test.length))
			resp := w.open(t.Context(), digest, acme)
			got, err := io.ReadAll(resp.Body)
			if err == nil && len(test.body) > 0 {
				t.Errorf("%d bytes look whole", len(got))
			}
			if kept := objects(t, dir, "content"); len(kept) > 0 {
				t.Errorf("kept: %v", kept)
			}
		})
	}
}

// TestADamagedBlobIsRemoved: a client never has it whole, and the next one gets it right.
func TestADamagedBlobIsRemoved(t *testing.T) {
	for name, damage := range map[string]func(content []byte) []byte{
		"one bit": func(content []byte) []byte { content[7] ^= 1; return content },
		"shorter": func(content []byte) []byte { return content[:len(content)-1] },
		"longer":  func(content []byte) []byte { return append(content, 'x') },
		"empty":   func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			w := newWorld(t, config{cache: directory(dir, "size=1GiB")})
			acme := w.licensed("app")
			content := someBytes(200_000)
			digest := w.quay.PutBlob("team/api", content)
			w.Do("GET", image+"/blobs/"+digest, acme.basic()).Is(200)
			path := contentFile(dir, digest)
			eventually(t, func() bool { _, err := os.Stat(path); return err == nil })
			if err := os.WriteFile(path, damage(bytes.Clone(content)), 0o600); err != nil {
				t.Fatal(err)
			}
			resp := w.open(t.Context(), digest, acme)
			if got, err := io.ReadAll(resp.Body); err == nil && !bytes.Equal(got, content) {
				t.Errorf("%d bytes look whole", len(got))
			}
			if got := w.Do("GET", image+"/blobs/"+digest, acme.basic()).Is(200).Body; !bytes.Equal(got, content) {
				t.Error("the next one gets it damaged as well")
			}
		})
	}
}

// TestAKeptBlobIsOfOneRepository (quirk D8): the registry has to say that it is in the other one as well.
func TestAKeptBlobIsOfOneRepository(t *testing.T) {
	w := newWorld(t, config{cache: "mem://"})
	acme := w.licensed("app")
	digest := w.quay.PutBlob("team/api", []byte("only here"))
	for range 2 {
		w.Do("GET", image+"/blobs/"+digest, acme.basic()).Is(200)
	}
	const other = "/v2/proxy/app/quay.io/library/busybox"
	w.Do("GET", other+"/blobs/"+digest, acme.basic()).Fails(404, oci.BlobUnknown)
	w.Do("HEAD", other+"/blobs/"+digest, acme.basic()).Is(404)
	w.quay.PutBlob("library/busybox", []byte("only here"))
	w.network.Forget()
	w.Do("GET", other+"/blobs/"+digest, acme.basic()).Is(200).Says("only here")
	w.network.None(registrytest.Sent("GET", "/v2/library/busybox/blobs/"+digest))
}
