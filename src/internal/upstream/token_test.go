// SPDX-License-Identifier: Apache-2.0

package upstream_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a registry as package upstream sees it, with a double behind it.
func world(t *testing.T, cfg upstream.Config) (*upstream.Registry, *registrytest.Registry, *registrytest.Network) {
	t.Helper()
	network, double := registrytest.NewNetwork(t), registrytest.NewRegistry(t)
	network.Serve(proxytest.Host, double)
	cfg.Host, cfg.CACertData, cfg.Dial, cfg.RetryDelay = proxytest.Host, network.CA(), network.Dial, 1
	if cfg.Keychain == nil {
		cfg.Keychain = proxytest.Robot()
	}
	r, err := upstream.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r, double, network
}

func bearer(t *testing.T, network *registrytest.Network, double *registrytest.Registry) *registrytest.Realm {
	t.Helper()
	realm := &registrytest.Realm{URL: "https://auth.example.com/token", User: proxytest.User, Password: proxytest.Password}
	network.Serve("auth.example.com", realm)
	double.GuardBy(realm.Guard)
	return realm
}

// send sends one request for the repository, and returns its status; 0 for an error.
func send(ctx context.Context, r *upstream.Registry, method, path string, content io.Reader) (int, error) {
	ctx = upstream.WithCall(ctx, upstream.Call{Operation: "test", Scopes: []upstream.Scope{upstream.Push(proxytest.Repository)}})
	u, err := r.URL(ctx, "/v2/"+proxytest.Repository+path, "")
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return 0, err
	}
	if content != nil {
		req.Body, req.ContentLength = upstream.NewBody(content), -1
		req.Header.Set("Expect", "100-continue")
	}
	resp, err := r.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Body.Close()
}

// TestOneTokenForAll: a hundred requests at once have one token fetched, and one greeting.
func TestOneTokenForAll(t *testing.T) {
	r, double, network := world(t, upstream.Config{})
	bearer(t, network, double)
	var requests sync.WaitGroup
	for range 100 {
		requests.Go(func() {
			if status, err := send(t.Context(), r, "GET", "/tags/list", nil); status != 200 {
				t.Errorf("status %d, %v", status, err)
			}
		})
	}
	requests.Wait()
	network.Count(1, toRealm())
	network.Count(1, func(r registrytest.Request) bool { return r.Path == "/v2/" })
	network.Count(100, registrytest.Sent("GET", "/tags/list"))
}

// TestACallerWhoLeavesTakesNobodyAlong: the token that the first caller asked for arrives for the second.
func TestACallerWhoLeavesTakesNobodyAlong(t *testing.T) {
	r, double, network := world(t, upstream.Config{})
	realm := bearer(t, network, double)
	realm.URL = "https://auth2.example.com/token"
	asked, answer := make(chan struct{}), make(chan struct{})
	network.Serve("auth2.example.com", http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		close(asked)
		<-answer
		realm.ServeHTTP(w, req)
	}))
	first, leave := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := send(first, r, "GET", "/tags/list", nil)
		failed <- err
	}()
	<-asked
	second := make(chan int)
	go func() {
		status, _ := send(t.Context(), r, "GET", "/tags/list", nil)
		second <- status
	}()
	leave()
	if err := <-failed; err == nil {
		t.Error("the caller who left was answered")
	}
	close(answer)
	if status := <-second; status != 200 {
		t.Errorf("the other caller was answered %d", status)
	}
	network.Count(1, registrytest.To("auth2.example.com"))
}

// TestRefusedBeforeItsBody: the same untouched body goes with the next token, once, whether or not the
// registry closes the connection after a refusal.
func TestRefusedBeforeItsBody(t *testing.T) {
	for _, keepAlive := range []bool{false, true} {
		t.Run(fmt.Sprintf("connection kept: %v", keepAlive), func(t *testing.T) {
			r, double, network := world(t, upstream.Config{})
			realm := bearer(t, network, double)
			var wasted atomic.Int64
			read := make(chan struct{})
			double.When("PATCH", "").Times(1).Do(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
				defer close(read)
				if !keepAlive {
					realm.Revoke()
					next.ServeHTTP(w, req)
					return
				}
				conn, buffered, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				_, _ = buffered.WriteString("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nWWW-Authenticate: Bearer realm=\"" + realm.URL + "\",service=\"registry.test\"\r\n\r\n")
				_ = buffered.Flush()
				n, _ := io.Copy(io.Discard, buffered)
				wasted.Add(n)
			})
			status, err := send(t.Context(), r, "PATCH", "/blobs/uploads/x", strings.NewReader("the layer"))
			if status != 404 { // the double knows no such upload, and has read the body to say so
				t.Errorf("status %d, %v", status, err)
			}
			<-read
			if got := network.Requests(registrytest.Mentions("the layer")); len(got) != 1 || string(got[0].Body) != "the layer" || wasted.Load() != 0 {
				t.Errorf("the body arrived %d times, and %d bytes of it in vain", len(got), wasted.Load())
			}
		})
	}
}

// TestATokenOfTheConfig is shown as it is.
func TestATokenOfTheConfig(t *testing.T) {
	r, double, network := world(t, upstream.Config{Keychain: proxytest.Fixed(keychain.Credential{RegistryToken: "from-the-config"})})
	bearer(t, network, double)
	double.When("GET", "/tags/list").Answer(200, "{}")
	if status, err := send(t.Context(), r, "GET", "/tags/list", nil); status != 200 {
		t.Errorf("status %d, %v", status, err)
	}
	if got := network.One(registrytest.Sent("GET", "/tags/list")).Header.Get("Authorization"); got != "Bearer from-the-config" {
		t.Errorf("the registry was shown %q", got)
	}
	network.None(toRealm())
}

// TestBadTokenAnswers are errors, not tokens, and no refusals of the credential.
func TestBadTokenAnswers(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter){
		"not JSON": func(w http.ResponseWriter) { _, _ = w.Write([]byte("<html>")) },
		"no token": func(w http.ResponseWriter) { _, _ = w.Write([]byte("{}")) },
		"redirect": func(w http.ResponseWriter) {
			w.Header().Set("Location", "https://evil.example.net/")
			w.WriteHeader(307)
		},
		"busy":   func(w http.ResponseWriter) { w.WriteHeader(429) },
		"broken": func(w http.ResponseWriter) { w.WriteHeader(500) },
		"too long": func(w http.ResponseWriter) {
			_, _ = w.Write([]byte(`{"token":"t","padding":"` + strings.Repeat("x", 128<<10) + `"}`))
		},
		"broken off": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			r, double, network := world(t, upstream.Config{})
			double.GuardBy((&registrytest.Realm{URL: "https://auth.example.com/token"}).Guard)
			network.Serve("auth.example.com", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w) }))
			for range 2 {
				if _, err := send(t.Context(), r, "GET", "/tags/list", nil); err == nil || strings.Contains(err.Error(), "moments ago") {
					t.Errorf("the error is %v", err)
				}
			}
		})
	}
}
