// SPDX-License-Identifier: Apache-2.0

package registrytest

import (
	"io"
	"net/http"
	"sync"
	"testing"
)

// Exchange is one request that a [Script] expects, and its answer.
type Exchange struct {
	// Method and URI, path and query as they are sent, of the request.
	Method, URI string
	// Status, Header and Body of the answer.
	Status int
	Header http.Header
	Body   string
}

// Script expects requests in an exact order; any other request, and any that is still missing in the end,
// fails the test.
type Script struct {
	t    testing.TB
	mu   sync.Mutex
	left []Exchange
}

// NewScript makes a script.
func NewScript(t testing.TB, exchanges ...Exchange) *Script {
	s := &Script{t: t, left: exchanges}
	t.Cleanup(func() {
		for _, missing := range s.left {
			t.Errorf("the request %s %s never came", missing.Method, missing.URI)
		}
	})
	return s
}

// ServeHTTP implements [http.Handler].
func (s *Script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.left) == 0 || s.left[0].Method != r.Method || s.left[0].URI != r.URL.RequestURI() {
		s.t.Errorf("unexpected request %s %s", r.Method, r.URL.RequestURI())
		w.WriteHeader(http.StatusTeapot)
		return
	}
	next := s.left[0]
	s.left = s.left[1:]
	_, _ = io.Copy(io.Discard, r.Body)
	for name, values := range next.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(next.Status)
	_, _ = io.WriteString(w, next.Body)
}
