// SPDX-License-Identifier: Apache-2.0

package lsptest

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"
	"sync"
)

// RegistryPath is the upstream repository that the proxy names.
const RegistryPath = "registry.example.com/team/source"

// keepLimit is the largest blob whose bytes are kept, so that tests of large ones stay small.
const keepLimit = 32 << 20

// Registry is the proxy with a registry behind it, reduced to what a push needs.
type Registry struct {
	mu        sync.Mutex
	blobs     map[string][]byte // nil for a blob too large to keep
	manifests map[string][]byte // by tag and digest
	types     map[string]string
	uploads   map[string]*session
	log       []string
	received  int64
	next      int

	// CutAfter breaks the connection of one PATCH after each of these numbers of bytes, in order. Shorter
	// ones are spared.
	CutAfter []int64
	// NoResume makes a session useless after a broken PATCH, as distribution does; after a whole one it goes
	// on.
	NoResume bool
	// NoStatus refuses to say how far an upload is, as go-containerregistry's registry does.
	NoStatus bool
	// Fail answers a request instead of the registry when it returns true.
	Fail func(w http.ResponseWriter, r *http.Request) bool
	// OnPatch is called when the bytes of a PATCH begin to arrive.
	OnPatch func()
	// OnByte is called once, when this many bytes of one PATCH have arrived; nothing is read meanwhile.
	OnByte   func()
	OnByteAt int64
	onByte   sync.Once
}

type session struct {
	hash hash.Hash
	size int64
	keep bytes.Buffer
	lost bool
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry {
	return &Registry{blobs: map[string][]byte{}, manifests: map[string][]byte{}, types: map[string]string{},
		uploads: map[string]*session{}}
}

// Log returns "METHOD path" of each request so far and forgets them. Ids of uploads are replaced by "ID".
func (r *Registry) Log() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	log := r.log
	r.log = nil
	return log
}

// Received is how many bytes of blobs have arrived.
func (r *Registry) Received() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.received
}

// Manifest returns what was pushed for a tag or digest, nil when nothing was.
func (r *Registry) Manifest(reference string) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.manifests[reference]
}

// Blob returns the bytes of a blob and whether it is there.
func (r *Registry) Blob(digest string) ([]byte, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b, ok := r.blobs[digest]
	return b, ok
}

// ServeHTTP serves /health, /v2/ and the one name "source".
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	path := req.URL.Path
	if i := strings.Index(path, "/blobs/uploads/"); i >= 0 && len(path) > i+len("/blobs/uploads/") {
		path = path[:i] + "/blobs/uploads/ID"
	}
	r.mu.Lock()
	r.log = append(r.log, req.Method+" "+path)
	r.mu.Unlock()
	w.Header().Set("Lsp-Registry-Path", RegistryPath)
	if r.Fail != nil && r.Fail(w, req) {
		return
	}
	rest, ours := strings.CutPrefix(req.URL.Path, "/v2/source/")
	switch {
	case req.URL.Path == "/health":
		Health(200, "ok").ServeHTTP(w, req)
	case req.URL.Path == "/v2/" || req.URL.Path == "/v2":
		w.WriteHeader(http.StatusOK)
	case !ours:
		OCIError(w, http.StatusNotFound, "NAME_UNKNOWN", "the only name here is source")
	case strings.HasPrefix(rest, "manifests/"):
		r.manifest(w, req, strings.TrimPrefix(rest, "manifests/"))
	case strings.HasPrefix(rest, "blobs/uploads"):
		r.upload(w, req, strings.Trim(strings.TrimPrefix(rest, "blobs/uploads"), "/"))
	default:
		r.blob(w, req, strings.TrimPrefix(rest, "blobs/"))
	}
}

// OCIError answers as the proxy does.
func OCIError(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []map[string]string{{"code": code, "message": message}}})
}

func (r *Registry) manifest(w http.ResponseWriter, req *http.Request, reference string) {
	if req.Method == http.MethodPut {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		digest := fmt.Sprintf("sha256:%x", sha256.Sum256(body))
		r.mu.Lock()
		defer r.mu.Unlock()
		r.manifests[reference], r.manifests[digest] = body, body
		r.types[digest] = req.Header.Get("Content-Type")
		w.Header().Set("Docker-Content-Digest", digest)
		w.WriteHeader(http.StatusCreated)
		return
	}
	body := r.Manifest(reference)
	if body == nil {
		OCIError(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "no such manifest")
		return
	}
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(body))
	r.mu.Lock()
	w.Header().Set("Content-Type", r.types[digest])
	r.mu.Unlock()
	w.Header().Set("Docker-Content-Digest", digest)
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	_, _ = w.Write(body)
}

func (r *Registry) blob(w http.ResponseWriter, req *http.Request, digest string) {
	body, ok := r.Blob(digest)
	if !ok {
		OCIError(w, http.StatusNotFound, "BLOB_UNKNOWN", "no such blob")
		return
	}
	w.Header().Set("Docker-Content-Digest", digest)
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	if req.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}
