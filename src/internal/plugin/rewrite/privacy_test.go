// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/rewrite"
)

const patience = time.Minute

// serve starts a registry and returns its host.
func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// stocked is a registry with one image, x:1.
func stocked(t *testing.T) http.Handler {
	t.Helper()
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	ref, err := name.ParseReference(serve(t, handler) + "/x:1")
	if err != nil {
		t.Fatal(err)
	}
	image, err := random.Image(10, 1)
	if err == nil {
		err = remote.Write(ref, image)
	}
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

// status answers everything below a repository with one status; "/v2/" is 200.
func status(code int, header ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		if r.URL.Path != "/v2/" || code == http.StatusUnauthorized {
			w.WriteHeader(code)
		}
	})
}

func ask(t *testing.T, asker rewrite.Asker, image string) rewrite.Answer {
	t.Helper()
	answers, err := asker.Ask(t.Context(), []string{image})
	if err != nil {
		t.Fatal(err)
	}
	return answers[image]
}

func TestVerdicts(t *testing.T) {
	public := stocked(t)
	gone := httptest.NewServer(public)
	gone.Close()
	withoutHead := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		public.ServeHTTP(w, r)
	})
	withoutDigest := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			w.Header().Set("Content-Type", "application/vnd.docker.distribution.manifest.v2+json")
			return
		}
		public.ServeHTTP(w, r)
	})
	deniesTokens := http.NewServeMux()
	host := serve(t, deniesTokens)
	deniesTokens.HandleFunc("/v2/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+host+`/token",service="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
	deniesTokens.HandleFunc("/token", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })

	withoutTokens := http.NewServeMux()
	lost := serve(t, withoutTokens)
	withoutTokens.HandleFunc("/v2/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+lost+`/token",service="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
	page := func(header ...string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			_, _ = io.WriteString(w, "<!DOCTYPE html><title>Sign in</title>")
		})
	}
	const anyDigest = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	login := http.NewServeMux()
	login.HandleFunc("/v2/x/", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) })
	login.Handle("/login", page("Content-Type", "text/html; charset=utf-8"))
	login.HandleFunc("/v2/{$}", func(http.ResponseWriter, *http.Request) {})
	gone404 := http.NewServeMux()
	gone404.HandleFunc("/v2/x/", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/nowhere", http.StatusFound) })
	gone404.HandleFunc("/v2/{$}", func(http.ResponseWriter, *http.Request) {})
	headIs404 := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead && r.URL.Path != "/v2/" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		public.ServeHTTP(w, r)
	})
	otherType := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, `{"schemaVersion":2,"config":{},"layers":[]}`)
		}
	})

	tests := []struct {
		name, host, image string
		verdict           rewrite.Verdict
		reason            string
	}{
		{"public", serve(t, public), "x:1", rewrite.Public, "gives it to everybody"},
		{"another tag", serve(t, public), "x:2", rewrite.Missing, "(404)"},
		{"Basic", serve(t, status(401, "WWW-Authenticate", `Basic realm="x"`)), "x:1", rewrite.Private, "wants credentials (401)"},
		{"401 without a challenge", serve(t, status(401)), "x:1", rewrite.Private, "(401)"},
		{"no token for strangers", host, "x:1", rewrite.Private, "(403)"},
		{"forbidden", serve(t, status(403)), "x:1", rewrite.Private, "(403)"},
		{"a token realm that nobody should follow", serve(t, status(401, "WWW-Authenticate", `Bearer realm="http://10.0.0.1/token"`)), "x:1", rewrite.Unreachable, "no usable answer: "},
		{"rate limit", serve(t, status(429)), "x:1", rewrite.Unreachable, "answers 429 Too Many Requests"},
		{"a web page", serve(t, page("Content-Type", "text/html")), "x:1", rewrite.Unreachable, "the answer is no manifest but text/html"},
		{"a web page with a digest", serve(t, page("Content-Type", "text/html", "Docker-Content-Digest", anyDigest)), "x:1", rewrite.Unreachable, "no manifest but text/html"},
		{"a web page without a type", serve(t, page("Content-Type", "")), "x:1", rewrite.Unreachable, "no manifest"},
		{"a way in to somewhere else", serve(t, login), "x:1", rewrite.Unreachable, "no manifest but text/html"},
		{"a way to nowhere", serve(t, gone404), "x:1", rewrite.Unreachable, "the registry's way in answers 404"},
		{"JSON that is no manifest", serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"message":"hello"}`)
		})), "x:1", rewrite.Unreachable, "no manifest but application/json"},
		{"nothing at all", serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), "x:1", rewrite.Unreachable, ""},
		{"no registry", serve(t, http.NotFoundHandler()), "x:1", rewrite.Unreachable, "the registry's way in answers 404"},
		{"a token server that is not there", lost, "x:1", rewrite.Unreachable, "the registry's way in answers 404"},
		{"a HEAD that is wrong", serve(t, headIs404), "x:1", rewrite.Public, ""},
		{"a manifest of an odd type", serve(t, otherType), "x:1", rewrite.Public, ""},
		{"no HEAD", serve(t, withoutHead), "x:1", rewrite.Public, ""},
		{"HEAD without a digest", serve(t, withoutDigest), "x:1", rewrite.Public, ""},
		{"nobody there", strings.TrimPrefix(gone.URL, "http://"), "x:1", rewrite.Unreachable, "connection refused"},
		{"no name", "A B", "x:1", rewrite.Unreachable, "not a valid image name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := ask(t, rewrite.Asker{Timeout: patience}, tt.host+"/"+tt.image)
			if got.Verdict != tt.verdict || !strings.Contains(got.Reason, tt.reason) {
				t.Errorf("got %+v, want %s because %q", got, tt.verdict, tt.reason)
			}
			if want := tt.verdict != rewrite.Public; got.Closed() != want {
				t.Errorf("closed: %t", !want)
			}
		})
	}
}

// TestSilence: a registry that accepts the connection and says nothing.
func TestSilence(t *testing.T) {
	quiet := make(chan struct{})
	t.Cleanup(func() { close(quiet) })
	host := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-quiet:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler) // net/http would answer 200, and the client may still read it
	}))
	got := ask(t, rewrite.Asker{Timeout: 50 * time.Millisecond}, host+"/x:1")
	if want := (rewrite.Answer{Verdict: rewrite.Unreachable, Reason: "no answer within 50ms"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("Ctrl-C")
	host := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { cancel(stop) }))
	if answers, err := (rewrite.Asker{Timeout: patience}).Ask(ctx, []string{host + "/x"}); !errors.Is(err, stop) {
		t.Errorf("%v, %v", answers, err)
	}
}

// keychain has one credential for every registry.
type keychain struct{}

func (keychain) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: "u", Password: "p"}, nil
}

// TestCredentials: the machine's are used when they are handed in, and not otherwise.
func TestCredentials(t *testing.T) {
	public := stocked(t)
	var shown atomic.Int64
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := r.BasicAuth(); !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		shown.Add(1)
		public.ServeHTTP(w, r)
	}))
	if got := ask(t, rewrite.Asker{Timeout: patience}, host+"/x:1"); got.Verdict != rewrite.Private || shown.Load() != 0 {
		t.Errorf("without: %+v, %d requests with a credential", got, shown.Load())
	}
	if got := ask(t, rewrite.Asker{Timeout: patience, Keychain: keychain{}}, host+"/x:1"); got.Verdict != rewrite.Public || got.Reason != "opened with the docker config's credential" {
		t.Errorf("with: %+v", got)
	}
	anonymous := authn.NewMultiKeychain() // has nothing for any registry
	if got := ask(t, rewrite.Asker{Timeout: patience, Keychain: anonymous}, serve(t, public)+"/x:1"); got.Reason != "the registry gives it to everybody" {
		t.Errorf("with a keychain that is empty: %+v", got)
	}
}

func TestProgress(t *testing.T) {
	host := serve(t, stocked(t))
	images := make([]string, 20)
	for i := range images {
		images[i] = host + "/x:" + string(rune('a'+i))
	}
	var calls, last atomic.Int64
	answers, err := rewrite.Asker{Timeout: patience, Progress: func(done, total int) {
		calls.Add(1)
		if total == len(images) {
			last.Store(max(last.Load(), int64(done)))
		}
	}}.Ask(t.Context(), images)
	if err != nil || len(answers) != len(images) || calls.Load() != int64(len(images)) || last.Load() != int64(len(images)) {
		t.Errorf("%v, %d answers, %d calls, the last said %d", err, len(answers), calls.Load(), last.Load())
	}
}
