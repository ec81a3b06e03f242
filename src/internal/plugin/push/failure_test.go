// SPDX-License-Identifier: Apache-2.0

package push_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/push"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/lsptest"
)

func TestFailures(t *testing.T) {
	once := func(method, part string, status int, code string) func(http.Handler) http.Handler {
		var mu sync.Mutex
		done := false
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				mine := !done && r.Method == method && strings.Contains(r.URL.Path, part)
				done = done || mine
				mu.Unlock()
				if mine {
					w.Header().Set("Lsp-Registry-Path", lsptest.RegistryPath)
					w.Header().Set("Retry-After", "3")
					lsptest.OCIError(w, status, code, "not now")
					return
				}
				next.ServeHTTP(w, r)
			})
		}
	}
	// The registry refuses everything; the ping is the proxy's own.
	denied := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/" {
				next.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Lsp-Registry-Path", lsptest.RegistryPath)
			lsptest.OCIError(w, http.StatusForbidden, "DENIED", "not now")
		})
	}
	tests := []struct {
		name   string
		wrap   func(http.Handler) http.Handler
		pauses int
		want   string // empty: the push succeeds
	}{
		{"ping busy", once("GET", "/v2/", 503, "UNAVAILABLE"), 1, ""},
		{"look-up fails", once("HEAD", "/blobs/", 502, "UNKNOWN"), 1, ""},
		{"rate limit", once("POST", "uploads", 429, "TOOMANYREQUESTS"), 1, ""},
		{"bytes refused for now", once("PATCH", "uploads", 500, "UNKNOWN"), 1, ""},
		{"digest mismatch", once("PUT", "uploads", 400, "DIGEST_INVALID"), 1, ""},
		{"session lost at the end", once("PUT", "uploads", 404, "BLOB_UPLOAD_UNKNOWN"), 1, ""},
		{"manifest", once("PUT", "manifests", 504, "UNKNOWN"), 1, ""},
		{"denied", once("POST", "uploads", 403, "DENIED"), 0, "403 DENIED: not now"},
		{"denied from the first look on", denied, 0, "403 DENIED: not now"},
		{"manifest refused", once("PUT", "manifests", 400, "MANIFEST_INVALID"), 0, "400 MANIFEST_INVALID: not now"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, tt.wrap)
			img := image(t, 1)
			_, err := push.Push(t.Context(), b.client, img, b.opts)
			if len(b.pauses) != tt.pauses {
				t.Errorf("pauses %v, want %d", b.pauses, tt.pauses)
			}
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("error %v, want one line with %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatalf("Push: %v", err)
			}
			b.checkWhole(t, img)
			for _, p := range b.pauses {
				if p < 3*time.Second && tt.name != "digest mismatch" && tt.name != "session lost at the end" && tt.name != "look-up fails" {
					t.Errorf("pause %v is shorter than the answer asks for", p)
				}
			}
		})
	}
}

// quirk D11: a registry that misses a blob says which, and so does the plugin.
func TestQuirkD11TheMissingDigestIsPrinted(t *testing.T) {
	missing := "sha256:" + strings.Repeat("5", 64)
	b := newBench(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/manifests/") {
				next.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Lsp-Registry-Path", lsptest.RegistryPath)
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown","detail":{"digest":"` + missing + `"}}]}`))
		})
	})
	_, err := push.Push(t.Context(), b.client, image(t, 1), b.opts)
	if err == nil || !strings.Contains(err.Error(), "404 MANIFEST_BLOB_UNKNOWN: blob unknown: "+missing) {
		t.Errorf("error %v", err)
	}
}

// The answer to the last request is lost, but the blob is there.
func TestLostAnswer(t *testing.T) {
	var once sync.Once
	b := newBench(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			lose := false
			if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/uploads/") {
				once.Do(func() { lose = true })
			}
			if lose {
				next.ServeHTTP(httptest.NewRecorder(), r)
				panic(http.ErrAbortHandler)
			}
			next.ServeHTTP(w, r)
		})
	})
	img := image(t, 1)
	b.push(t, img)
	b.checkWhole(t, img)
	if n := count(b.registry.Log(), "POST /v2/source/blobs/uploads/"); n != 2 {
		t.Errorf("%d uploads were started for two blobs", n)
	}
}

func TestGivesUp(t *testing.T) {
	b := newBench(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				panic(http.ErrAbortHandler)
			}
			next.ServeHTTP(w, r)
		})
	})
	_, err := push.Push(t.Context(), b.client, image(t, 1), b.opts)
	if err == nil || !strings.Contains(err.Error(), "(8 tries)") {
		t.Errorf("error %v, want one that counts the tries", err)
	}
}

// sick is a proxy whose /health says that the registry is down, for the first of its answers or for all.
func sick(answers int, status int, message string) func(http.Handler) http.Handler {
	var mu sync.Mutex
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			mine := r.URL.Path == "/health" && answers > 0
			if mine {
				answers--
			}
			mu.Unlock()
			if mine {
				lsptest.Health(status, message).ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// TestRegistryIsDown: a push asks /health first, and ends with the cause and the remedy that the proxy knows.
func TestRegistryIsDown(t *testing.T) {
	const always = 1000
	for name, tt := range map[string]struct {
		answers, status int
		message         string
		pauses          int
		want            string
	}{
		"down": {
			always, 502, "the+registry+cannot+be+reached%3A+it+does+not+answer+in+time", 4,
			"the registry does not work for the proxy: the registry cannot be reached: it does not answer in time; " +
				"ask the operator whether the registry runs; `kubectl exec -n tap-local-source-system deploy/local-source-proxy -- /ko-app/local-source-proxy check` names the step (5 tries)",
		},
		"back after a moment": {2, 503, "starting", 2, ""},
		"wrong password": {
			always, 401, "wrong+password", 0,
			"the registry does not let the proxy push: wrong password; ask the operator to check push_secret and repository",
		},
		"no repository": {always, 404, "no+such+repository", 0, "no such repository; ask the operator to check push_secret"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, sick(tt.answers, tt.status, tt.message))
			_, err := push.Push(t.Context(), b.client, image(t, 1), b.opts)
			if len(b.pauses) != tt.pauses {
				t.Errorf("pauses %v, want %d", b.pauses, tt.pauses)
			}
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if tt.want != "" && count(b.registry.Log(), "POST /v2/source/blobs/uploads/") > 0 {
				t.Error("an upload was started")
			}
		})
	}
}

// TestRegistryGoesDown: what repeating does not mend ends with what the proxy knows by then.
func TestRegistryGoesDown(t *testing.T) {
	var mu sync.Mutex
	down := false
	b := newBench(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			down = down || r.Method == http.MethodPost
			switch {
			case down && r.URL.Path == "/health":
				lsptest.Health(502, "the+registry+cannot+be+reached").ServeHTTP(w, r)
			case down && r.URL.Path != "/v2/":
				w.Header().Set("Lsp-Registry-Path", lsptest.RegistryPath)
				w.WriteHeader(http.StatusBadGateway)
			default:
				next.ServeHTTP(w, r)
			}
		})
	})
	_, err := push.Push(t.Context(), b.client, image(t, 1), b.opts)
	want := "502: Bad Gateway (8 tries): the registry does not work for the proxy: the registry cannot be reached; ask the operator"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
}

// TestFirstRequestIsRepeated: a connection that breaks under the first request is no other than any.
func TestFirstRequestIsRepeated(t *testing.T) {
	var once sync.Once
	b := newBench(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			lose := false
			once.Do(func() { lose = true })
			if lose {
				panic(http.ErrAbortHandler)
			}
			next.ServeHTTP(w, r)
		})
	})
	img := image(t, 1)
	b.push(t, img)
	b.checkWhole(t, img)
	if len(b.pauses) != 1 {
		t.Errorf("pauses %v, want one", b.pauses)
	}
}

func TestNotAProxy(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	client, err := apiserver.Direct(server.URL, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdle()
	if _, err := push.Preflight(t.Context(), client, push.Options{}); !errors.Is(err, push.ErrNotProxy) {
		t.Errorf("error %v, want %v", err, push.ErrNotProxy)
	}
}
