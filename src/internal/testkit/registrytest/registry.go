// SPDX-License-Identifier: Apache-2.0

package registrytest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Registry is an OCI registry in memory that does what the distribution specification says.
type Registry struct {
	t       testing.TB
	mu      sync.Mutex
	guard   func(http.Handler) http.Handler
	rules   []*Rule
	repos   map[string]*repository
	uploads map[string]*upload
	started int
}

type repository struct {
	blobs     map[string][]byte
	manifests map[string]Manifest
	tags      map[string]string
}

// Manifest is a stored manifest.
type Manifest struct {
	MediaType string
	Content   []byte
}

// NewRegistry makes an empty registry that asks nobody who he is.
func NewRegistry(t testing.TB) *Registry {
	return &Registry{t: t, repos: map[string]*repository{}, uploads: map[string]*upload{},
		guard: func(h http.Handler) http.Handler { return h }}
}

// Digest is the digest of a content.
func Digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// GuardBy puts a check of credentials before everything but the rules, such as [Realm.Guard] or [Basic].
func (reg *Registry) GuardBy(guard func(http.Handler) http.Handler) { reg.guard = guard }

// ServeHTTP implements [http.Handler].
func (reg *Registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	proper := reg.guard(http.HandlerFunc(reg.serve))
	if do := reg.rule(r); do != nil {
		do(w, r, proper)
		return
	}
	proper.ServeHTTP(w, r)
}

func (reg *Registry) serve(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.Path, "/v2/")
	if !ok {
		fail(w, http.StatusNotFound, "UNKNOWN", "no such path")
		return
	}
	if path == "" {
		w.WriteHeader(http.StatusOK)
		return
	}
	for _, part := range []struct {
		name  string
		serve func(w http.ResponseWriter, r *http.Request, repo, reference string)
	}{
		{"/blobs/uploads/", reg.serveUpload}, {"/blobs/", reg.serveBlob}, {"/manifests/", reg.serveManifest},
		{"/tags/", reg.serveTags}, {"/referrers/", reg.serveReferrers},
	} {
		if at := strings.LastIndex(path, part.name); at > 0 {
			part.serve(w, r, path[:at], path[at+len(part.name):])
			return
		}
	}
	fail(w, http.StatusNotFound, "UNKNOWN", "no such path")
}

func fail(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []map[string]string{{"code": code, "message": message}}})
}

// repo returns a repository, which exists once it is asked for; the caller holds the lock.
func (reg *Registry) repo(name string) *repository {
	if reg.repos[name] == nil {
		reg.repos[name] = &repository{blobs: map[string][]byte{}, manifests: map[string]Manifest{}, tags: map[string]string{}}
	}
	return reg.repos[name]
}

// PutBlob stores a blob and returns its digest.
func (reg *Registry) PutBlob(repo string, content []byte) string {
	reg.mu.Lock()
	defer reg.mu.Unlock()
	digest := Digest(content)
	reg.repo(repo).blobs[digest] = content
	return digest
}

// PutManifest stores a manifest under tags and returns its digest.
func (reg *Registry) PutManifest(repo, mediaType string, content []byte, tags ...string) string {
	reg.mu.Lock()
	defer reg.mu.Unlock()
	digest := Digest(content)
	reg.repo(repo).manifests[digest] = Manifest{mediaType, content}
	for _, tag := range tags {
		reg.repo(repo).tags[tag] = digest
	}
	return digest
}

// Holds fails the test unless the repository has exactly this blob under its digest.
func (reg *Registry) Holds(repo string, content []byte) {
	reg.t.Helper()
	reg.mu.Lock()
	defer reg.mu.Unlock()
	if stored, ok := reg.repo(repo).blobs[Digest(content)]; !ok || !slices.Equal(stored, content) {
		reg.t.Errorf("repository %s does not hold the blob of %d bytes", repo, len(content))
	}
}

// Tagged returns the manifest of a tag.
func (reg *Registry) Tagged(repo, tag string) (Manifest, bool) {
	reg.mu.Lock()
	defer reg.mu.Unlock()
	m, ok := reg.repo(repo).manifests[reg.repo(repo).tags[tag]]
	return m, ok
}

func (reg *Registry) serveBlob(w http.ResponseWriter, r *http.Request, repo, digest string) {
	reg.mu.Lock()
	content, ok := reg.repo(repo).blobs[digest]
	if r.Method == http.MethodDelete {
		delete(reg.repo(repo).blobs, digest)
	}
	reg.mu.Unlock()
	switch {
	case !ok:
		fail(w, http.StatusNotFound, "BLOB_UNKNOWN", "blob unknown to registry")
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusAccepted)
	default:
		w.Header().Set("Docker-Content-Digest", digest)
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(content)))
	}
}

func (reg *Registry) serveTags(w http.ResponseWriter, r *http.Request, repo, _ string) {
	reg.mu.Lock()
	defer reg.mu.Unlock()
	var tags []string
	for tag := range reg.repo(repo).tags {
		if tag > r.URL.Query().Get("last") {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	if n, err := strconv.Atoi(r.URL.Query().Get("n")); err == nil && n > 0 && n < len(tags) {
		tags = tags[:n]
		w.Header().Set("Link", `</v2/`+repo+`/tags/list?last=`+tags[n-1]+`&n=`+strconv.Itoa(n)+`>; rel="next"`)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"name": repo, "tags": tags})
}
