// SPDX-License-Identifier: Apache-2.0

package httpserver

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// TestAHeaderThatIsTooLarge is refused in OCI JSON, although no handler sees it.
func TestAHeaderThatIsTooLarge(t *testing.T) {
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			url, client := serveWith(t, secure, http.NotFoundHandler())
			for _, size := range []int{80 << 10, 1 << 20} {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
				if err != nil {
					t.Fatal(err)
				}
				request.Header.Set("Large", strings.Repeat("x", size))
				resp, err := client.Do(request)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				content, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				var body oci.ErrorBody
				err = json.Unmarshal(content, &body)
				if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge || !resp.Close ||
					resp.Header.Get("Content-Type") != "application/json" || err != nil ||
					len(body.Errors) != 1 || body.Errors[0].Code != oci.HeaderTooLarge {
					t.Errorf("%d bytes: %d %v %s", size, resp.StatusCode, resp.Header, content)
				}
			}
		})
	}
}

// TestTLSIsHTTP1 alone, and handlers see that the connection is secure.
func TestTLSIsHTTP1(t *testing.T) {
	url, client := serveWith(t, true, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || !r.TLS.HandshakeComplete {
			t.Errorf("the request's TLS state is %v", r.TLS)
		}
		w.WriteHeader(http.StatusTeapot)
	}))
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusTeapot || resp.ProtoMajor != 1 {
		t.Errorf("%s %d", resp.Proto, resp.StatusCode)
	}
}

// TestPlainHTTPAtATLSPort is told so.
func TestPlainHTTPAtATLSPort(t *testing.T) {
	url, _ := serveWith(t, true, http.NotFoundHandler())
	resp, err := http.Get(strings.Replace(url, "https", "http", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	content, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(content), "HTTPS server") {
		t.Errorf("%d %s", resp.StatusCode, content)
	}
}

// serveWith serves a handler, with TLS or without, and returns its URL and a client that would speak HTTP/2.
func serveWith(t *testing.T, secure bool, handler http.Handler) (string, *http.Client) {
	t.Helper()
	l := Listener{Name: "test", Address: "127.0.0.1:0", Handler: handler}
	scheme, client := "http", http.DefaultClient
	if secure {
		double := httptest.NewUnstartedServer(nil)
		double.EnableHTTP2 = true
		double.StartTLS()
		t.Cleanup(double.Close)
		l.TLS = &tls.Config{Certificates: double.TLS.Certificates, MinVersion: tls.VersionTLS12}
		scheme, client = "https", double.Client()
	}
	g, err := Listen(t.Context(), quiet(), l)
	if err != nil {
		t.Fatal(err)
	}
	start(t, g, time.Second)
	return scheme + "://" + g.listeners[0].Addr().String() + "/", client
}
