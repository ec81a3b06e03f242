// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"k8s.io/client-go/rest"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/registry"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/lsptest"
)

// open starts a tunnel to a cluster with the backend and returns its address.
func open(t *testing.T, backend http.Handler, token string, state lsptest.State) string {
	t.Helper()
	cluster := lsptest.NewCluster(t, backend)
	cluster.Set(state)
	client, err := apiserver.New(cluster.Config(token), apiserver.Options{Via: apiserver.ViaService})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdle)
	server := httptest.NewServer(registry.New(client, func(string) {}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func TestRegistryClientPushesAndPulls(t *testing.T) {
	registry := lsptest.NewRegistry()
	address := open(t, registry, lsptest.Developer, lsptest.Installed)
	img, err := random.Image(64<<10, 2)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(address + "/source:v1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, img, remote.WithContext(t.Context())); err != nil {
		t.Fatalf("push: %v", err)
	}
	back, err := remote.Image(tag, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatalf("pull: %v", err)
	}
	want, _ := img.Digest()
	got, err := back.Digest()
	if err != nil || got != want {
		t.Errorf("digest %v, %v; want %v", got, err, want)
	}
}

func TestOneRequest(t *testing.T) {
	var seen *http.Request
	backend := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r
		w.Header().Set("Lsp-Registry-Path", lsptest.RegistryPath)
		w.Header().Set("Location", "/v2/source/blobs/uploads/token?a=b%2Fc")
		w.Header().Set("Link", `</v2/source/tags/list?last=x>; rel="next"`)
		w.Header().Set("WWW-Authenticate", "Basic")
		w.Header().Set("Set-Cookie", "a=b")
		w.WriteHeader(http.StatusAccepted)
	})
	address := open(t, backend, lsptest.Developer, lsptest.Installed)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/v2/source/blobs/uploads/?mount=sha256%3Aab&from=source", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []string{"Authorization", "Cookie", "Impersonate-User", "Impersonate-Extra-Scopes"} {
		req.Header.Set(h, "of the client")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	for _, h := range []string{"Cookie", "Impersonate-User", "Impersonate-Extra-Scopes", "Authorization"} {
		if v := seen.Header.Get(h); v != "" {
			t.Errorf("%s: %s reached the proxy", h, v)
		}
	}
	if seen.URL.RawQuery != "mount=sha256%3Aab&from=source" {
		t.Errorf("query %s", seen.URL.RawQuery)
	}
	got := map[string]string{}
	for _, h := range []string{"Location", "Link", "WWW-Authenticate", "Set-Cookie"} {
		got[h] = resp.Header.Get(h)
	}
	want := map[string]string{
		"Location": "/v2/source/blobs/uploads/token?a=b%2Fc", "Link": `</v2/source/tags/list?last=x>; rel="next"`,
		"WWW-Authenticate": "", "Set-Cookie": "",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}

func TestErrorsAreReadable(t *testing.T) {
	tests := []struct {
		name   string
		token  string
		state  lsptest.State
		method string
		status int
		body   string
	}{
		{"no RBAC", lsptest.Stranger, lsptest.Installed, "GET", 403, `{"errors":[{"code":"DENIED","message":"you may not use the local source proxy`},
		{"not logged in", "old", lsptest.Installed, "GET", 403, `{"errors":[{"code":"DENIED","message":"the API server does not accept your credential`},
		{"absent", lsptest.Developer, lsptest.Absent, "GET", 404, `{"errors":[{"code":"NAME_UNKNOWN","message":"the local source proxy is not installed`},
		{"no pod", lsptest.Developer, lsptest.NotReady, "GET", 503, `{"errors":[{"code":"UNAVAILABLE","message":"no pod of the local source proxy is ready`},
		{"HEAD has no body", lsptest.Stranger, lsptest.Installed, "HEAD", 403, ""},
		{"the proxy's own errors pass", lsptest.Developer, lsptest.Installed, "GET", 404, `{"errors":[{"code":"MANIFEST_UNKNOWN"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			address := open(t, lsptest.NewRegistry(), tt.token, tt.state)
			req, err := http.NewRequestWithContext(t.Context(), tt.method, "http://"+address+"/v2/source/manifests/x", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != tt.status || !strings.HasPrefix(string(body), tt.body) {
				t.Errorf("%d %s %v, want %d %s", resp.StatusCode, body, err, tt.status, tt.body)
			}
		})
	}
}

func TestOnlyRegistryClientsOfThisMachine(t *testing.T) {
	tests := []struct {
		name, host, path, header string
		status                   int
	}{
		{"localhost", "localhost:5001", "/v2/", "", 200},
		{"IPv4", "127.0.0.1:5001", "/v2/", "", 200},
		{"IPv6", "[::1]:5001", "/v2/", "", 200},
		{"without port", "localhost", "/v2", "", 200},
		{"rebound name", "evil.example.com:5001", "/v2/", "", 403},
		{"other address", "192.0.2.1:5001", "/v2/", "", 403},
		{"web page", "localhost:5001", "/v2/", "Origin", 403},
		{"browser", "localhost:5001", "/v2/", "Sec-Fetch-Site", 403},
		{"other path", "localhost:5001", "/health", "", 404},
		{"climbs out", "localhost:5001", "/v2/../../../../secrets", "", 404},
		{"a digest's colon is escaped", "localhost:5001", "/v2/source/blobs/sha256%3A" + strings.Repeat("a", 64), "", 404},
		{"escaped", "localhost:5001", "/v2/source%2fx/manifests/y", "", 404},
		{"double slash", "localhost:5001", "/v2//source", "", 404},
	}
	cluster := lsptest.NewCluster(t, lsptest.NewRegistry())
	client, err := apiserver.New(cluster.Config(lsptest.Developer), apiserver.Options{Via: apiserver.ViaService})
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdle()
	handler := registry.New(client, func(string) {})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://x"+tt.path, nil)
			req.Host = tt.host
			if tt.header != "" {
				req.Header.Set(tt.header, "https://evil.example.com")
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, req)
			if w.Code != tt.status {
				t.Errorf("status %d %s, want %d", w.Code, w.Body, tt.status)
			}
		})
	}
}

// TestEscapedColon: some clients escape the colon of a digest.
func TestEscapedColon(t *testing.T) {
	backend := lsptest.NewRegistry()
	address := open(t, backend, lsptest.Developer, lsptest.Installed)
	for _, colon := range []string{"%3A", "%3a", ":"} {
		digest := "sha256" + colon + strings.Repeat("a", 64)
		resp, err := http.Get("http://" + address + "/v2/source/blobs/" + digest)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		want := []string{"GET /v2/source/blobs/sha256:" + strings.Repeat("a", 64)}
		if diff := cmp.Diff(want, backend.Log()); diff != "" {
			t.Errorf("%s: requests (-want +got):\n%s", digest, diff)
		}
	}
}

// quirk K6: an address may have a path before the API (/k8s/clusters/c-1), which the API server does not know
// of.
func TestQuirkK6LinksBehindAPrefix(t *testing.T) {
	const prefix, next = "/k8s/clusters/c-1", `/v2/source/tags/list?last=x&n=1>; rel="next"`
	for name, link := range map[string]string{
		"relative":                    "<" + next,
		"with the API server's path":  "<" + lsptest.Prefix + next,
		"with the whole path":         "<" + prefix + lsptest.Prefix + next,
		"with a host":                 "<https://rancher.example.com" + prefix + lsptest.Prefix + next,
		"two, of which one is no URL": "<%zz>; rel=x, <" + lsptest.Prefix + next,
	} {
		t.Run(name, func(t *testing.T) {
			cluster := lsptest.NewCluster(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Lsp-Registry-Path", lsptest.RegistryPath)
				w.Header().Set("Link", link)
			}))
			front := httptest.NewTLSServer(http.StripPrefix(prefix, cluster))
			defer front.Close()
			client, err := apiserver.New(&rest.Config{
				Host: front.URL + prefix, BearerToken: lsptest.Developer, TLSClientConfig: rest.TLSClientConfig{Insecure: true},
			}, apiserver.Options{Via: apiserver.ViaService})
			if err != nil {
				t.Fatal(err)
			}
			defer client.CloseIdle()
			w := httptest.NewRecorder()
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/v2/source/tags/list", nil)
			registry.New(client, func(string) {}).ServeHTTP(w, req)
			if got := w.Header().Get("Link"); w.Code != http.StatusOK || !strings.HasSuffix(got, "<"+next) {
				t.Errorf("%d, Link %s", w.Code, got)
			}
		})
	}
}

// TestOneLineForEachRequest: it is short, and has no upload session, which would let its reader continue the
// upload.
func TestOneLineForEachRequest(t *testing.T) {
	cluster := lsptest.NewCluster(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Lsp-Registry-Path", lsptest.RegistryPath)
		switch r.Method {
		case http.MethodGet:
			w.Header().Set("Content-Length", "10")
			_, _ = w.Write([]byte("half"))
		case http.MethodPost:
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(http.StatusAccepted)
		case http.MethodDelete:
			panic(http.ErrAbortHandler)
		default:
			w.WriteHeader(http.StatusCreated)
		}
	}))
	cluster.Server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	client, err := apiserver.New(cluster.Config(lsptest.Developer), apiserver.Options{Via: apiserver.ViaService})
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdle()
	var lines []string
	handler := registry.New(client, func(line string) { lines = append(lines, line) })
	for _, tt := range []struct{ method, target, want string }{
		{"HEAD", "/v2/source/blobs/sha256:" + strings.Repeat("a", 64), "HEAD /v2/source/blobs/sha256:aaaaaaaaaaaa 201"},
		{"PATCH", "/v2/source/blobs/uploads/sealed-token?state=secret", "PATCH /v2/source/blobs/uploads/ 201"},
		{"PUT", "/v2/source/sub/blobs/uploads/sealed-token?digest=x", "PUT /v2/source/sub/blobs/uploads/ 201"},
		{"POST", "/v2/source/blobs/uploads/", "POST /v2/source/blobs/uploads/ 502"},
		{"DELETE", "/v2/source/blobs/uploads/sealed-token", "DELETE /v2/source/blobs/uploads/ 502"},
		{"GET", "/v2/source/blobs/x", "GET /v2/source/blobs/x broken off"},
		{"PUT", "/v2/../etc/%0a%1b[31m", "PUT /v2/../etc/ [31m 404"},
	} {
		lines = nil
		func() {
			defer func() { _ = recover() }() // the server's way to break a connection off
			req := httptest.NewRequestWithContext(
				context.WithValue(t.Context(), http.ServerContextKey, &http.Server{}), tt.method, "http://localhost"+tt.target, nil)
			handler.ServeHTTP(httptest.NewRecorder(), req)
		}()
		if diff := cmp.Diff([]string{tt.want}, lines); diff != "" {
			t.Errorf("%s %s: lines (-want +got):\n%s", tt.method, tt.target, diff)
		}
	}
}

func TestUnreachable(t *testing.T) {
	cluster := lsptest.NewCluster(t, nil)
	client, err := apiserver.New(cluster.Config(lsptest.Developer), apiserver.Options{Via: apiserver.ViaService})
	if err != nil {
		t.Fatal(err)
	}
	cluster.Close()
	w := httptest.NewRecorder()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/v2/", nil)
	registry.New(client, func(string) {}).ServeHTTP(w, req)
	if w.Code != http.StatusBadGateway || !strings.Contains(w.Body.String(), "UNAVAILABLE") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
