// SPDX-License-Identifier: Apache-2.0

package upstream_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// TestUploadsShareAConnection: a body that was asked for leaves its connection usable, one that was refused
// unread takes it along.
func TestUploadsShareAConnection(t *testing.T) {
	var refuse atomic.Bool
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuse.Load() && r.Method == http.MethodPut {
			w.WriteHeader(http.StatusConflict)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
	}))
	defer registry.Close()
	var dials atomic.Int32
	r, err := upstream.New(upstream.Config{
		Host: registry.Listener.Addr().String(), PlainHTTP: true,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			dials.Add(1)
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	put := func(want int) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, registry.URL+"/v2/a/manifests/b", upstream.NewBody(strings.NewReader("{}")))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Expect", "100-continue")
		resp, err := r.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Fatalf("status %d, want %d", resp.StatusCode, want)
		}
	}
	for range 5 {
		put(http.StatusCreated)
	}
	if got := dials.Load(); got != 1 {
		t.Errorf("%d connections for requests in a row, want 1", got)
	}
	refuse.Store(true)
	put(http.StatusConflict)
	refuse.Store(false)
	put(http.StatusCreated)
	if got := dials.Load(); got != 2 {
		t.Errorf("%d connections after a body that was refused unread, want 2", got)
	}
}
