// SPDX-License-Identifier: Apache-2.0

package lsptest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
)

func (r *Registry) upload(w http.ResponseWriter, req *http.Request, id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.uploads[id]
	switch {
	case req.Method == http.MethodPost:
		r.next++
		id, s = fmt.Sprintf("session-%d", r.next), &session{hash: sha256.New()}
		r.uploads[id] = s
	case s == nil:
		OCIError(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "no such upload")
		return
	case req.Method == http.MethodGet && r.NoStatus:
		OCIError(w, http.StatusBadRequest, "NAME_INVALID", "invalid digest")
		return
	case s.lost:
		OCIError(w, http.StatusRequestedRangeNotSatisfiable, "RANGE_INVALID", "resumed at wrong offset")
		return
	case req.Method == http.MethodPatch:
		if !r.patch(w, req, s) {
			return
		}
	case req.Method == http.MethodPut:
		r.finish(w, req, id, s)
		return
	case req.Method == http.MethodDelete:
		delete(r.uploads, id)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Location", "/v2/source/blobs/uploads/"+id)
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(s.size-1, 0)))
	if req.Method == http.MethodGet {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// patch takes bytes until they end or the connection is to be cut. The lock is released meanwhile.
func (r *Registry) patch(w http.ResponseWriter, req *http.Request, s *session) bool {
	if cr := req.Header.Get("Content-Range"); cr != "" {
		var start, end int64
		if _, err := fmt.Sscanf(cr, "%d-%d", &start, &end); err != nil || start != s.size {
			OCIError(w, http.StatusRequestedRangeNotSatisfiable, "BLOB_UPLOAD_INVALID", "that is not where the upload is")
			return false
		}
	}
	var body io.Reader = req.Body
	limit := int64(-1)
	if len(r.CutAfter) > 0 {
		limit = r.CutAfter[0]
		body = io.LimitReader(body, limit)
	}
	r.mu.Unlock()
	if r.OnPatch != nil {
		r.OnPatch()
	}
	n, err := s.take(&trigger{body, r, 0})
	r.mu.Lock()
	s.size += n
	r.received += n
	cut := n == limit
	if cut {
		r.CutAfter = r.CutAfter[1:]
	}
	if cut || err != nil {
		s.lost = r.NoResume
		r.mu.Unlock()
		defer r.mu.Lock() // upload unlocks
		panic(http.ErrAbortHandler)
	}
	return true
}

func (s *session) take(body io.Reader) (int64, error) {
	writers := []io.Writer{s.hash}
	if s.keep.Len() < keepLimit {
		writers = append(writers, &limited{&s.keep})
	}
	return io.Copy(io.MultiWriter(writers...), body)
}

// trigger calls OnByte.
type trigger struct {
	io.Reader
	registry *Registry
	n        int64
}

func (t *trigger) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	t.n += int64(n)
	if t.registry.OnByte != nil && t.n >= t.registry.OnByteAt {
		t.registry.onByte.Do(t.registry.OnByte)
	}
	return n, err
}

// limited drops what is beyond keepLimit.
type limited struct{ buf *bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if l.buf.Len() < keepLimit {
		l.buf.Write(p)
	}
	return len(p), nil
}

func (r *Registry) finish(w http.ResponseWriter, req *http.Request, id string, s *session) {
	n, err := s.take(req.Body)
	s.size += n
	digest := "sha256:" + hex.EncodeToString(s.hash.Sum(nil))
	if err != nil || digest != req.URL.Query().Get("digest") {
		delete(r.uploads, id)
		OCIError(w, http.StatusBadRequest, "DIGEST_INVALID", "the bytes have another digest")
		return
	}
	delete(r.uploads, id)
	r.blobs[digest] = nil
	if int64(s.keep.Len()) == s.size {
		r.blobs[digest] = s.keep.Bytes()
	}
	w.Header().Set("Location", "/v2/source/blobs/"+digest)
	w.Header().Set("Docker-Content-Digest", digest)
	w.WriteHeader(http.StatusCreated)
}
