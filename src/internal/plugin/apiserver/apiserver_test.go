// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/lsptest"
)

func get(target string) apiserver.Request {
	return apiserver.Request{Method: http.MethodGet, Target: target}
}

// quirk K3: an HTTP/2 stream to the API server moves 256 KiB a round trip, so the plugin speaks HTTP/1.1.
func TestQuirkK3HTTP1EvenWhereHTTP2IsOffered(t *testing.T) {
	cluster := lsptest.NewCluster(t, lsptest.NewRegistry())
	config := cluster.Config(lsptest.Developer)
	client, err := apiserver.New(config, apiserver.Options{Via: apiserver.ViaService})
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdle()
	resp, err := client.Do(t.Context(), get("/v2/"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.Proto != "HTTP/1.1" {
		t.Errorf("the client speaks %s", resp.Proto)
	}
	// The same configuration without our choice speaks HTTP/2, so the server did offer it.
	usual, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	defer usual.CloseIdleConnections()
	resp, err = usual.Get(client.Base().String() + "/v2/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if diff := cmp.Diff([]string{"HTTP/1.1", "HTTP/2.0"}, cluster.Protos()); diff != "" {
		t.Errorf("protocols seen by the server (-want +got):\n%s", diff)
	}
}

func TestDirectSpeaksHTTP1(t *testing.T) {
	server := httptest.NewUnstartedServer(lsptest.NewRegistry())
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	client, err := apiserver.Direct(server.URL+"/", server.Client().Transport.(*http.Transport).TLSClientConfig, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdle()
	resp, err := client.Do(t.Context(), get("/v2/"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.Proto != "HTTP/1.1" {
		t.Errorf("the client speaks %s", resp.Proto)
	}
}

func TestDirectRefusesOtherAddresses(t *testing.T) {
	for _, server := range []string{"localhost:5002", "ftp://x", "http://", "http://u:p@x", "http://x?y=z", "::"} {
		if _, err := apiserver.Direct(server, nil, 0); err == nil || !strings.Contains(err.Error(), "not an address such as http://localhost:5002") {
			t.Errorf("%s: error %v", server, err)
		}
	}
}

// quirk K5: a proxy that cannot be dialled is a 503 with a Kubernetes Status, not with OCI JSON.
func TestQuirkK5Errors(t *testing.T) {
	tests := []struct {
		name    string
		token   string
		state   lsptest.State
		backend http.HandlerFunc
		want    apiserver.Error
		line    string
	}{
		{
			name: "no RBAC", token: lsptest.Stranger,
			want: apiserver.Error{Status: 403, Origin: apiserver.Cluster, Code: "Forbidden"},
			line: "ask the cluster's operator to list you or a group of yours in rbac_subjects_for_proxy_access, or to install the package if it is not in this cluster",
		},
		{
			name: "credential not accepted", token: "old",
			want: apiserver.Error{Status: 401, Origin: apiserver.Cluster, Code: "Unauthorized"},
			line: "log in again",
		},
		{
			name: "not installed", token: lsptest.Developer, state: lsptest.Absent,
			want: apiserver.Error{Status: 404, Origin: apiserver.Cluster, Code: "NotFound"},
			line: `not installed in this cluster: services "local-source-proxy" not found`,
		},
		{
			name: "no ready pod", token: lsptest.Developer, state: lsptest.NotReady,
			want: apiserver.Error{Status: 503, Origin: apiserver.Cluster, Code: "ServiceUnavailable"},
			line: "no pod of the local source proxy is ready",
		},
		{
			name: "OCI error", token: lsptest.Developer,
			backend: func(w http.ResponseWriter, _ *http.Request) { lsptest.OCIError(w, 403, "DENIED", "pulling\nis off") },
			want:    apiserver.Error{Status: 403, Origin: apiserver.Proxy, Code: "DENIED"},
			line:    "the local source proxy answered 403 DENIED: pulling is off",
		},
		{
			name: "asks to wait", token: lsptest.Developer,
			backend: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "7")
				lsptest.OCIError(w, 429, "TOOMANYREQUESTS", "slow down")
			},
			want: apiserver.Error{Status: 429, Origin: apiserver.Proxy, Code: "TOOMANYREQUESTS", RetryAfter: 7 * time.Second},
			line: "429 TOOMANYREQUESTS: slow down",
		},
		{
			name: "error page in HTML", token: lsptest.Developer,
			backend: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				w.WriteHeader(http.StatusRequestEntityTooLarge)
				_, _ = io.WriteString(w, "<html>no</html>")
			},
			want: apiserver.Error{Status: http.StatusRequestEntityTooLarge},
			line: "the server answered 413: Request Entity Too Large",
		},
		{
			name: "redirect", token: lsptest.Developer,
			backend: func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://elsewhere.example.com/", http.StatusTemporaryRedirect)
			},
			want: apiserver.Error{Status: http.StatusTemporaryRedirect},
			line: "a redirect to another address, which would get your credential and is not followed",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cluster := lsptest.NewCluster(t, tt.backend)
			cluster.Set(tt.state)
			client, err := apiserver.New(cluster.Config(tt.token), apiserver.Options{Via: apiserver.ViaService})
			if err != nil {
				t.Fatal(err)
			}
			defer client.CloseIdle()
			_, err = client.Do(t.Context(), get("/v2/"))
			got, ok := errors.AsType[*apiserver.Error](err)
			if !ok {
				t.Fatalf("error %T %v", err, err)
			}
			if !strings.Contains(got.Error(), tt.line) || strings.Contains(got.Error(), "\n") {
				t.Errorf("line %q, want one with %q", got, tt.line)
			}
			tt.want.Message = got.Message
			if diff := cmp.Diff(tt.want, *got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestErrorWithoutQuery(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	client, err := apiserver.Direct("http://"+address, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Do(t.Context(), get("/v2/source/blobs/uploads/sealed-token?digest=secret"))
	if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "sealed") {
		t.Errorf("error %v; neither path nor query belong into it", err)
	}
	if !strings.Contains(err.Error(), "reach the proxy at "+address) {
		t.Errorf("error %v does not name the address", err)
	}
}

func TestRequestTimeoutSparesUploads(t *testing.T) {
	release := make(chan struct{})
	cluster := lsptest.NewCluster(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			<-r.Context().Done()
			panic(http.ErrAbortHandler) // net/http would answer 200, and the client may still read it
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
	}))
	config := cluster.Config(lsptest.Developer)
	config.Timeout = 50 * time.Millisecond
	client, err := apiserver.New(config, apiserver.Options{Via: apiserver.ViaService})
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdle()
	if _, err := client.Do(t.Context(), get("/health")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the deadline", err)
	}
	// The body ends only after the time-out has struck elsewhere.
	body, w := io.Pipe()
	go func() {
		defer close(release)
		<-time.After(2 * config.Timeout)
		_, _ = w.Write([]byte("late"))
		w.Close()
	}()
	resp, err := client.Do(t.Context(), apiserver.Request{Method: http.MethodPatch, Target: "/v2/x", Body: body, Length: -1})
	if err != nil {
		t.Fatalf("the upload was cut: %v", err)
	}
	resp.Body.Close()
	<-release
}

func TestLocate(t *testing.T) {
	cluster := lsptest.NewCluster(t, http.NotFoundHandler())
	client, err := apiserver.New(cluster.Config(lsptest.Developer), apiserver.Options{Via: apiserver.ViaService})
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{
		lsptest.Prefix + "/v2/source/blobs/uploads/t":                       "/v2/source/blobs/uploads/t",
		"/v2/source/blobs/uploads/t?a=b%2Fc&d":                              "/v2/source/blobs/uploads/t?a=b%2Fc&d",
		"https://evil.example.com/v2/source/blobs/uploads/t":                "/v2/source/blobs/uploads/t",
		"/k8s/clusters/c-1" + lsptest.Prefix + "/v2/source/blobs/uploads/t": "/v2/source/blobs/uploads/t",
		"t2": "/v2/source/blobs/uploads/t2",
	}
	request, err := http.NewRequest(http.MethodPost, client.Base().String()+"/v2/source/blobs/uploads/", nil)
	if err != nil {
		t.Fatal(err)
	}
	for location, want := range tests {
		got, err := client.Locate(&http.Response{Request: request, Header: http.Header{"Location": {location}}})
		if err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", location, got, err, want)
		}
	}
	for _, location := range []string{"", "https://evil.example.com/elsewhere", "/etc", "%zz"} {
		if got, err := client.Locate(&http.Response{Request: request, Header: http.Header{"Location": {location}}}); err == nil {
			t.Errorf("%q: %q, want an error", location, got)
		}
	}
}

func FuzzOneLine(f *testing.F) {
	f.Add("a\nb\x1b[31m")
	f.Fuzz(func(t *testing.T, text string) {
		if got := apiserver.OneLine(text); strings.ContainsAny(got, "\n\r\x1b\x00") || len(got) > 1010 {
			t.Errorf("OneLine(%q) = %q", text, got)
		}
	})
}
