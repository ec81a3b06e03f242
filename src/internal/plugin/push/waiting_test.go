// SPDX-License-Identifier: Apache-2.0

package push_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestItSaysWhatItWaitsFor, at every step, and whatever way the registry takes its time.
func TestItSaysWhatItWaitsFor(t *testing.T) {
	for what, slow := range map[string]func(r *http.Request) bool{
		"ask the proxy":            func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/v2/") },
		"look for the image":       func(r *http.Request) bool { return r.Method == "HEAD" && strings.Contains(r.URL.Path, "/manifests/") },
		"look for the":             func(r *http.Request) bool { return r.Method == "HEAD" && strings.Contains(r.URL.Path, "/blobs/") },
		"start the upload of the":  func(r *http.Request) bool { return r.Method == "POST" },
		"upload the":               func(r *http.Request) bool { return r.Method == "PATCH" },
		"finish the upload of the": func(r *http.Request) bool { return r.Method == "PUT" && strings.Contains(r.URL.Path, "/uploads/") },
		"name the image":           func(r *http.Request) bool { return r.Method == "PUT" && strings.Contains(r.URL.Path, "/manifests/") },
	} {
		t.Run(what, func(t *testing.T) {
			ctx, give := context.WithTimeout(t.Context(), time.Minute)
			defer give()
			b := newBench(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if slow(r) {
						<-ctx.Done()
					}
					next.ServeHTTP(w, r)
				})
			})
			b.opts.Patience = 20 * time.Millisecond
			b.opts.Notify = func(line string) {
				if strings.HasPrefix(line, what) && strings.Contains(line, "no answer for ") {
					give()
				}
			}
			img := image(t, 1)
			b.push(t, img)
			b.checkWhole(t, img)
			if ctx.Err() != context.Canceled {
				t.Error("nobody was told what is waited for")
			}
		})
	}
}

// TestItIsSilentWhileSomethingHappens.
func TestItIsSilentWhileSomethingHappens(t *testing.T) {
	b := newBench(t, nil)
	b.opts.Patience = time.Minute
	b.opts.Notify = func(line string) { t.Errorf("told %q", line) }
	b.push(t, image(t, 2))
}
