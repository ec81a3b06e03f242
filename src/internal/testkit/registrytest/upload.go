// SPDX-License-Identifier: Apache-2.0

package registrytest

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

type upload struct {
	repo    string
	content []byte
}

// Uploads is how many upload sessions are open.
func (reg *Registry) Uploads() int {
	reg.mu.Lock()
	defer reg.mu.Unlock()
	return len(reg.uploads)
}

func (reg *Registry) serveUpload(w http.ResponseWriter, r *http.Request, repo, id string) {
	content, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	reg.mu.Lock()
	defer reg.mu.Unlock()
	if r.Method == http.MethodPost {
		reg.start(w, r, repo, content)
		return
	}
	u, ok := reg.uploads[id]
	if !ok || u.repo != repo {
		fail(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
		return
	}
	switch r.Method {
	case http.MethodPatch:
		first, _, chunk := strings.Cut(r.Header.Get("Content-Range"), "-")
		if start, err := strconv.Atoi(first); chunk && (err != nil || start != len(u.content)) {
			reg.session(w, id, http.StatusRequestedRangeNotSatisfiable)
			return
		}
		u.content = append(u.content, content...)
		reg.session(w, id, http.StatusAccepted)
	case http.MethodGet:
		reg.session(w, id, http.StatusNoContent)
	case http.MethodPut:
		reg.finish(w, r, id, append(u.content, content...))
	case http.MethodDelete:
		delete(reg.uploads, id)
		w.WriteHeader(http.StatusNoContent)
	}
}

func (reg *Registry) start(w http.ResponseWriter, r *http.Request, repo string, content []byte) {
	query := r.URL.Query()
	if stored, ok := reg.repo(query.Get("from")).blobs[query.Get("mount")]; ok {
		reg.repo(repo).blobs[query.Get("mount")] = stored
		w.Header().Set("Location", "/v2/"+repo+"/blobs/"+query.Get("mount"))
		w.WriteHeader(http.StatusCreated)
		return
	}
	reg.started++
	id := fmt.Sprintf("upload-%d", reg.started)
	reg.uploads[id] = &upload{repo: repo}
	w.Header().Set("Docker-Upload-Uuid", id)
	if query.Has("digest") {
		reg.finish(w, r, id, content)
		return
	}
	reg.session(w, id, http.StatusAccepted)
}

func (reg *Registry) session(w http.ResponseWriter, id string, status int) {
	u := reg.uploads[id]
	w.Header().Set("Location",
		"/v2/"+u.repo+"/blobs/uploads/"+id+"?_state="+url.QueryEscape(fmt.Sprintf("st/%d=", len(u.content))))
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(len(u.content)-1, 0)))
	w.WriteHeader(status)
}

func (reg *Registry) finish(w http.ResponseWriter, r *http.Request, id string, content []byte) {
	repo, digest := reg.uploads[id].repo, Digest(content)
	if r.URL.Query().Get("digest") != digest {
		fail(w, http.StatusBadRequest, "DIGEST_INVALID", "provided digest did not match uploaded content")
		return
	}
	delete(reg.uploads, id)
	reg.repo(repo).blobs[digest] = content
	w.Header().Set("Docker-Content-Digest", digest)
	w.Header().Set("Location", "/v2/"+repo+"/blobs/"+digest)
	w.WriteHeader(http.StatusCreated)
}
