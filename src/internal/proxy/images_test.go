// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/errcode"
)

// TestNobodyIsAStrangerBeforeTheObjectsAreRead.
func TestNobodyIsAStrangerBeforeTheObjectsAreRead(t *testing.T) {
	loaded := make(chan struct{})
	handle := once(loaded, func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusTeapot)
		return nil
	})
	answer := httptest.NewRecorder()
	err := handle(answer, httptest.NewRequest(http.MethodGet, "/v2/", nil))
	if e := errcode.From(err); e.Status() != http.StatusServiceUnavailable || e.Code != errcode.Unavailable || e.Header.Get("Retry-After") == "" {
		t.Errorf("before: %v", err)
	}
	close(loaded)
	if err := handle(answer, httptest.NewRequest(http.MethodGet, "/v2/", nil)); err != nil || answer.Code != http.StatusTeapot {
		t.Errorf("after: %d, %v", answer.Code, err)
	}
}
