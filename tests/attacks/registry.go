// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// registry is one that takes and has what the honest client wants, and that misbehaves in the repositories
// with the names of its tricks. It holds nothing: what is pushed is hashed and forgotten.
type registry struct {
	host string
	// guarded says that it demands tokens, for everything; longToken is its token server's answer.
	guarded   bool
	longToken string

	server *httptest.Server
	tricks map[string]http.HandlerFunc
	// blob and manifest are what it has.
	blob, manifest harness.Blob
	// lists are the contents of large lists of tags, each made when it is first asked for.
	lists  map[string]func() []byte
	silent *silence
	// done ends what waits for ever: a handler does not learn that its client is gone while there is a body that
	// it has not read.
	done chan struct{}

	mu     sync.Mutex
	idle   map[net.Conn]bool
	hashes map[string]string
	next   int
}

// newRegistry starts one on loopback.
func newRegistry(t testing.TB) *registry {
	t.Helper()
	config := harness.NewBlob(64)
	r := &registry{
		blob: harness.NewBlob(blobSize), silent: newSilence(t),
		lists: map[string]func() []byte{
			"tags-8":  sync.OnceValue(func() []byte { return tags(79 << 20 / 10) }),
			"tags-64": sync.OnceValue(func() []byte { return tags(64 << 20) }),
			"one-tag": sync.OnceValue(func() []byte { return oneTag(64 << 20) }),
		},
		longToken: `{"token":"` + strings.Repeat("t", tokenSize) + `","expires_in":3600}`,
		idle:      map[net.Conn]bool{}, hashes: map[string]string{}, done: make(chan struct{}),
	}
	r.tricks = r.newTricks()
	r.manifest = harness.Manifest(t, config, r.blob)
	r.server = httptest.NewUnstartedServer(r)
	// Attackers break off in the middle of everything; net/http's words about it are of no use.
	r.server.Config.ErrorLog = quietLog()
	r.server.Config.ConnState = r.follow
	r.server.Start()
	t.Cleanup(func() {
		close(r.done)
		r.server.CloseClientConnections()
		r.server.Close()
	})
	r.host = strings.TrimPrefix(r.server.URL, "http://")
	return r
}

// follow keeps the connections that nothing is asked on, not yet or not any more.
func (r *registry) follow(conn net.Conn, state http.ConnState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if state == http.StateIdle || state == http.StateNew {
		r.idle[conn] = true
	} else {
		delete(r.idle, conn)
	}
}

// closeIdle ends those connections, and all to the silent host, so that they are not taken for the server's:
// it would keep them for a while.
func (r *registry) closeIdle() {
	r.silent.closeAll()
	r.mu.Lock()
	defer r.mu.Unlock()
	for conn := range r.idle {
		conn.Close()
	}
}

// ServeHTTP implements [http.Handler].
func (r *registry) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if r.guarded {
		r.guard(w, q)
		return
	}
	if q.URL.Path == "/v2/" {
		return
	}
	for name, trick := range r.tricks {
		if strings.Contains(q.URL.Path, "/"+name+"/") {
			trick(w, q)
			return
		}
	}
	r.honest(w, q)
}

func (r *registry) honest(w http.ResponseWriter, q *http.Request) {
	repository, rest, _ := strings.Cut(strings.TrimPrefix(q.URL.Path, "/v2/"), "/blobs/")
	switch {
	case strings.Contains(q.URL.Path, "/manifests/"):
		r.manifests(w, q)
	case strings.HasSuffix(q.URL.Path, "/tags/list"):
		_, _ = io.WriteString(w, `{"name":"x","tags":["v1"]}`)
	case rest == "uploads/" || rest == "uploads":
		r.mu.Lock()
		r.next++
		id := strconv.Itoa(r.next)
		r.mu.Unlock()
		w.Header().Set("Location", "/v2/"+repository+"/blobs/uploads/"+id)
		w.WriteHeader(http.StatusAccepted)
	case strings.HasPrefix(rest, "uploads/"):
		r.upload(w, q)
	case rest == r.blob.Digest:
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Docker-Content-Digest", rest)
		http.ServeContent(w, q, "", noTime, bytes.NewReader(r.blob.Content))
	default:
		refuse(w, http.StatusNotFound, "BLOB_UNKNOWN")
	}
}

func (r *registry) manifests(w http.ResponseWriter, q *http.Request) {
	if q.Method == http.MethodPut {
		content, err := io.ReadAll(io.LimitReader(q.Body, 8<<20))
		if err != nil {
			return
		}
		w.Header().Set("Location", q.URL.Path)
		w.Header().Set("Docker-Content-Digest", harness.BlobOf(content).Digest)
		w.WriteHeader(http.StatusCreated)
		return
	}
	w.Header().Set("Content-Type", harness.ManifestType)
	w.Header().Set("Docker-Content-Digest", r.manifest.Digest)
	_, _ = w.Write(r.manifest.Content)
}

// upload takes a part in one PATCH, and its digest in the PUT.
func (r *registry) upload(w http.ResponseWriter, q *http.Request) {
	hash := sha256.New()
	size, err := io.Copy(hash, q.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if q.Method == http.MethodPut {
		digest := r.hashes[q.URL.Path]
		delete(r.hashes, q.URL.Path)
		if asked := q.URL.Query().Get("digest"); asked != digest {
			refuse(w, http.StatusBadRequest, "DIGEST_INVALID")
			return
		}
		w.Header().Set("Location", "/v2/"+harness.Repository+"/blobs/"+digest)
		w.WriteHeader(http.StatusCreated)
		return
	}
	r.hashes[q.URL.Path] = fmt.Sprintf("sha256:%x", hash.Sum(nil))
	w.Header().Set("Location", q.URL.Path)
	w.Header().Set("Range", fmt.Sprintf("0-%d", size-1))
	w.WriteHeader(http.StatusAccepted)
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"errors":[{"code":%q,"message":"of the test"}]}`, code)
}
