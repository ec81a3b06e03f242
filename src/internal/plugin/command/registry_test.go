// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestRegistryEndsWithCtrlC: that is how one ends it, so the exit code is 0, unless a request had to be cut
// off.
func TestRegistryEndsWithCtrlC(t *testing.T) {
	for name, tt := range map[string]struct {
		method string
		code   int
		said   string
	}{
		"idle":            {"GET", 0, "GET /v2/source/tags/list 200\n"},
		"in an upload":    {"PATCH", 130, "requests that did not end within 3s were cut off\n"},
		"before it works": {"", 130, "kubectl lsp: interrupted\n"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w.registry.Fail = func(rw http.ResponseWriter, r *http.Request) bool {
				switch {
				case tt.method == "" && r.URL.Path == "/v2/":
					cancel()
					<-r.Context().Done()
					panic(http.ErrAbortHandler) // net/http would answer 200, and the client may still read it
				case r.Method == http.MethodPatch:
					cancel()
					<-r.Context().Done()
					panic(http.ErrAbortHandler)
				case strings.HasSuffix(r.URL.Path, "/tags/list"):
				default:
					return false
				}
				return true
			}
			out, in := io.Pipe()
			var errOut strings.Builder
			code := make(chan int)
			go func() {
				defer in.Close()
				code <- Run(ctx, []string{"registry", "--port", "0"}, strings.NewReader(""), in, &errOut)
			}()
			if tt.method != "" {
				address, err := bufio.NewReader(out).ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				path := map[string]string{"GET": "/tags/list", "PATCH": "/blobs/uploads/token"}[tt.method]
				url := "http://" + strings.Replace(strings.TrimSpace(address), "/source", "/v2/source", 1) + path
				req, err := http.NewRequestWithContext(t.Context(), tt.method, url, nil)
				if err != nil {
					t.Fatal(err)
				}
				if resp, err := http.DefaultClient.Do(req); err == nil {
					resp.Body.Close()
				}
				cancel()
			}
			if got := <-code; got != tt.code || !strings.HasSuffix(errOut.String(), tt.said) || strings.Contains(errOut.String(), "token") {
				t.Errorf("exit code %d, want %d\n%s", got, tt.code, errOut.String())
			}
		})
	}
}
