// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"bytes"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// elsewhere is a double's address under another host name than the registry's.
func elsewhere(d *harness.Double, name string) string {
	return "http://" + strings.Replace(d.Host, "127.0.0.1", name, 1)
}

// assertNoCredential fails when a host beside the registry saw one.
func assertNoCredential(t *testing.T, stranger *harness.Double) {
	t.Helper()
	for _, seen := range stranger.Requests() {
		for _, header := range []string{"Authorization", "Cookie", "Proxy-Authorization"} {
			if seen.Header.Get(header) != "" {
				t.Errorf("%s %s: a stranger got a %s header", seen.Method, seen.Path, header)
			}
		}
	}
}

// TestForeignRealm: a token realm on another host gets no request at all, least of all the password (quirk
// A1).
func TestForeignRealm(t *testing.T) {
	t.Parallel()
	stranger := harness.NewDouble(t, map[string]http.HandlerFunc{"/": harness.Pong})
	double := harness.NewDouble(t, map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+elsewhere(stranger, "localhost")+`/token",service="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	}})
	server := harness.Start(t, harness.Options{Upstream: double.Registry()})
	answer := harness.Call(t, harness.Request{Method: http.MethodPost, URL: server.URL("/v2/source/blobs/uploads/")})
	if answer.Status < 400 || answer.Status == http.StatusUnauthorized {
		t.Errorf("the push gets %d", answer.Status)
	}
	answer.Code(t)
	if answer.Header.Get("WWW-Authenticate") != "" {
		t.Error("the upstream's challenge reached the client")
	}
	if got := stranger.Requests(); len(got) > 0 {
		t.Errorf("the stranger was asked: %+v", got)
	}
	if got := double.WithCredentials(); len(got) > 0 {
		t.Errorf("a registry that asked for a token was shown a credential: %s %s", got[0].Method, got[0].Path)
	}
}

// TestRedirects: a download that the registry redirects is followed, without any credential, also to a
// subdomain of the registry's host, where Go's own client would forward it (quirk D1).
func TestRedirects(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ registry, storage string }{
		"another host":  {"127.0.0.1", "localhost"},
		"another port":  {"127.0.0.1", "127.0.0.1"},
		"its subdomain": {"localhost", "blobs.localhost"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := net.DefaultResolver.LookupHost(t.Context(), tc.storage); err != nil {
				t.Skipf("this machine does not resolve %s: %v", tc.storage, err)
			}
			blob := harness.NewBlob(5 << 10)
			storage := harness.NewDouble(t, map[string]http.HandlerFunc{
				"GET /bucket/blob": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(blob.Content) },
			})
			double := harness.NewDouble(t, map[string]http.HandlerFunc{
				"GET /v2/{$}": harness.Basic(harness.Pong),
				"GET /v2/" + harness.Repository + "/blobs/": harness.Basic(func(w http.ResponseWriter, r *http.Request) {
					http.Redirect(w, r, elsewhere(storage, tc.storage)+"/bucket/blob?signature=of-the-storage", http.StatusTemporaryRedirect)
				}),
			})
			upstream := double.Registry()
			upstream.Host = strings.Replace(upstream.Host, "127.0.0.1", tc.registry, 1)
			server := harness.Start(t, harness.Options{
				Upstream: upstream, Values: map[string]any{"allow_pull": true}, Secrets: []string{"of-the-storage"},
			})
			got := harness.Call(t, harness.Request{Method: http.MethodGet, URL: server.URL("/v2/source/blobs/" + blob.Digest)})
			if !bytes.Equal(got.Want(t, http.StatusOK).Body, blob.Content) {
				t.Errorf("the blob came with %d bytes", len(got.Body))
			}
			if len(storage.Requests()) == 0 {
				t.Error("the redirect was not followed")
			}
			assertNoCredential(t, storage)
		})
	}
}

// TestForeignLocation: an upload's Location on another host sends nothing there.
func TestForeignLocation(t *testing.T) {
	t.Parallel()
	stranger := harness.NewDouble(t, map[string]http.HandlerFunc{"/": harness.Pong})
	double := harness.NewDouble(t, map[string]http.HandlerFunc{
		"POST " + uploads + "{$}": harness.Basic(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", elsewhere(stranger, "localhost")+"/v2/stolen/blobs/uploads/1")
			w.WriteHeader(http.StatusAccepted)
		}),
		"/": harness.Basic(harness.Pong),
	})
	server := harness.Start(t, harness.Options{Upstream: double.Registry()})
	address := server.URL("/v2/source/blobs/uploads/")
	answer := harness.Call(t, harness.Request{Method: http.MethodPost, URL: address})
	if strings.Contains(answer.Header.Get("Location"), "localhost") {
		t.Errorf("the client is sent to the stranger: %s", answer.Header.Get("Location"))
	}
	if answer.Status == http.StatusAccepted {
		harness.Call(t, harness.Request{Method: http.MethodPatch, URL: answer.Location(t, address), Body: strings.NewReader("content")})
	}
	if got := stranger.Requests(); len(got) > 0 {
		t.Errorf("the stranger was asked: %+v", got)
	}
}

// TestHeadersStayOnTheirSide: the client's credentials do not reach the upstream, and the upstream's cookies,
// challenges and address do not reach the client.
func TestHeadersStayOnTheirSide(t *testing.T) {
	t.Parallel()
	double := harness.NewDouble(t, map[string]http.HandlerFunc{"/": harness.Basic(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", "session=of-the-registry")
		w.Header().Set("Www-Authenticate", `Basic realm="of the registry"`)
		w.Header().Set("Server", "registry of a test")
	})})
	server := harness.Start(t, harness.Options{Upstream: double.Registry(), Secrets: []string{"developers-secret", "developers-cookie"}})
	answer := harness.Call(t, harness.Request{
		Method: http.MethodGet, URL: server.URL("/v2/source/tags/list"),
		Header: http.Header{
			"Authorization": {"Bearer developers-secret"}, "Cookie": {"session=developers-cookie"},
			"Proxy-Authorization": {"Basic developers-secret"}, "Connection": {"X-Hop"}, "X-Hop": {"developers-secret"},
			"X-Forwarded-For": {"192.0.2.1"},
		},
	})
	for _, seen := range double.Requests() {
		for name, values := range seen.Header {
			if strings.Contains(strings.Join(values, " "), "developers-") {
				t.Errorf("the client's header %s reached the upstream", name)
			}
		}
	}
	for _, name := range []string{"Set-Cookie", "Www-Authenticate"} {
		if answer.Header.Get(name) != "" {
			t.Errorf("the upstream's header %s reached the client", name)
		}
	}
}
