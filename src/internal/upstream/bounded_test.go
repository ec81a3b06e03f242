// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// TestAnAnswerAfterTheSilence comes while the connection is being closed, so its body cannot be read.
func TestAnAnswerAfterTheSilence(t *testing.T) {
	for what, body := range map[string]io.ReadCloser{
		"no body": http.NoBody,
		"a body":  io.NopCloser(strings.NewReader("cut")),
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				late := roundTripper(func(req *http.Request) (*http.Response, error) {
					httptrace.ContextClientTrace(req.Context()).WroteRequest(httptrace.WroteRequestInfo{})
					<-req.Context().Done()
					return &http.Response{StatusCode: http.StatusOK, Body: body}, nil
				})
				req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://registry.example.com/v2/", http.NoBody)
				resp, err := bounded{next: late, limit: time.Second}.RoundTrip(req)
				if _, silent := errors.AsType[*Silence](err); !silent || resp != nil {
					t.Errorf("got %v, %v, want a silence", resp, err)
				}
			})
		})
	}
}
