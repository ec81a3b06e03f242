// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

// habits are what uploads by chunks differ in from registry to registry.
type habits struct {
	name string
	// stateful: a location holds how far the upload is, and nothing but a status request is taken when that
	// is no longer so; a chunk whose length nobody knows is appended wherever it begins. So does
	// distribution.
	stateful bool
	// limit is the most that a chunk may have (quirk U3, GHCR).
	limit int
	// whole: it takes no chunks, and one PATCH in all (quirk U4, Google Artifact Registry).
	whole bool
	// sticky: Range stays at the first chunk (quirk U2, Amazon ECR).
	sticky bool
}

// honest are those whose answers can be compared one by one.
func honest() []habits { return []habits{{name: "distribution", stateful: true}, {name: "zot"}} }

func quirky() []habits {
	return append(honest(), habits{name: "GHCR", limit: 5 * unit}, habits{name: "GAR", whole: true}, habits{name: "ECR", sticky: true})
}

// model is a registry's uploads by chunks, and nothing else of it. Several uploads are in it, none of them
// ever goes.
type model struct {
	habits

	mu      sync.Mutex
	uploads []*modelUpload
	last    *modelUpload // the one that was asked for last
}

type modelUpload struct {
	content []byte
	patches int
	first   int // the size of the first chunk
}

const modelPath = "/v2/team/code/blobs/uploads/"

// ServeHTTP implements [http.Handler].
func (m *model) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, isUpload := strings.CutPrefix(r.URL.Path, modelPath)
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case !isUpload: // the greeting
	case r.Method == http.MethodPost:
		m.last = &modelUpload{}
		m.uploads = append(m.uploads, m.last)
		m.answer(w, http.StatusAccepted)
	default:
		at, _ := strconv.Atoi(id)
		m.last = m.uploads[at]
		if m.stateful && r.Method != http.MethodGet && r.URL.Query().Get("_state") != strconv.Itoa(len(m.last.content)) {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		m.step(w, r)
	}
}

func (m *model) step(w http.ResponseWriter, r *http.Request) {
	u := m.last
	switch r.Method {
	case http.MethodGet:
		m.answer(w, http.StatusNoContent)
	case http.MethodPatch:
		if status := m.refusal(r); status != 0 {
			w.WriteHeader(status)
			if status == http.StatusBadRequest {
				code := "SIZE_INVALID"
				if m.whole {
					code = "UNSUPPORTED"
				}
				_, _ = fmt.Fprintf(w, `{"errors":[{"code":%q}]}`, code)
			}
			return
		}
		content, _ := io.ReadAll(r.Body)
		u.content = append(u.content, content...)
		u.patches++
		if u.patches == 1 {
			u.first = len(content)
		}
		m.answer(w, http.StatusAccepted)
	case http.MethodPut:
		content, _ := io.ReadAll(r.Body)
		if r.URL.Query().Get("digest") != registrytest.Digest(append(slices.Clone(u.content), content...)) {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusCreated)
	}
}

// refusal is the status with which a chunk is refused unread; 0 when it is taken.
func (m *model) refusal(r *http.Request) int {
	first, last, isChunk := strings.Cut(r.Header.Get("Content-Range"), "-")
	start, _ := strconv.Atoi(first)
	end, _ := strconv.Atoi(last)
	size := int64(end - start + 1)
	switch {
	case m.whole && (isChunk || m.last.patches > 0):
		return http.StatusBadRequest
	case !isChunk || m.stateful && r.ContentLength < 0:
		return 0
	case start != len(m.last.content), m.limit > 0 && size > int64(m.limit), !m.stateful && size != r.ContentLength:
		return http.StatusRequestedRangeNotSatisfiable
	case size != r.ContentLength:
		return http.StatusBadRequest
	}
	return 0
}

func (m *model) answer(w http.ResponseWriter, status int) {
	u := m.last
	query := ""
	if m.stateful {
		query = "?_state=" + strconv.Itoa(len(u.content))
	}
	says := len(u.content)
	if m.sticky {
		says = min(says, u.first)
	}
	w.Header().Set("Location", modelPath+strconv.Itoa(slices.Index(m.uploads, u))+query)
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(says-1, 0)))
	w.WriteHeader(status)
}

// has is how much the upload has that was asked for last.
func (m *model) has() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.last.content)
}
