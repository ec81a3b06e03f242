// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

const blobs = "/v2/" + harness.Repository + "/blobs/"

// TestListedRealm: a token realm on another host is shown the credential once the operator has listed it.
// Until then clients, /health and the log say so (quirk A12).
func TestListedRealm(t *testing.T) {
	t.Parallel()
	var bought atomic.Int32
	realm := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user == harness.Username && password == harness.Password {
			bought.Add(1)
			_, _ = io.WriteString(w, `{"token":"a-token-of-the-test"}`)
		}
	}))
	defer realm.Close()
	host := strings.TrimPrefix(realm.URL, "https://")
	double := harness.NewDouble(t, map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer a-token-of-the-test" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+realm.URL+`/token",service="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Location", r.URL.Path+"1")
		w.WriteHeader(http.StatusAccepted)
	}})
	upstream := double.Registry()
	upstream.Host = strings.Replace(upstream.Host, "127.0.0.1", "localhost", 1)
	upstream.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: realm.Certificate().Raw})
	start := harness.Request{Method: http.MethodPost}

	server := harness.Start(t, harness.Options{Upstream: upstream})
	start.URL = server.URL("/v2/source/blobs/uploads/")
	refused := harness.Call(t, start).WantError(t, http.StatusForbidden, "DENIED")
	if !strings.Contains(string(refused.Body), "token_realms") || strings.Contains(string(refused.Body), host) {
		t.Errorf("the client is told %s", refused.Body)
	}
	report := harness.Call(t, harness.Request{Method: http.MethodGet, URL: server.URL("/health")}).Want(t, http.StatusOK)
	if message, _ := url.QueryUnescape(string(report.Body)); !strings.Contains(message, "token_realms") {
		t.Errorf("/health says %s", message)
	}
	server.AwaitLog(t, "add it to token_realms", 1)
	server.AwaitLog(t, host, 1)
	if bought.Load() > 0 {
		t.Error("the realm was shown the credential")
	}

	server = harness.Start(t, harness.Options{
		Upstream: upstream, Values: map[string]any{"token_realms": []string{host}}, Secrets: []string{"a-token-of-the-test"},
	})
	start.URL = server.URL("/v2/source/blobs/uploads/")
	harness.Call(t, start).Want(t, http.StatusAccepted)
	if bought.Load() != 1 {
		t.Errorf("%d tokens were bought, want 1", bought.Load())
	}
}

// TestPlacesThatAreNotAsked: a redirect leads to none of them, also not from a registry on loopback (quirk
// D1).
func TestPlacesThatAreNotAsked(t *testing.T) {
	t.Parallel()
	var location atomic.Value
	double := harness.NewDouble(t, map[string]http.HandlerFunc{
		"GET /v2/{$}": harness.Basic(harness.Pong),
		"GET " + blobs: harness.Basic(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", location.Load().(string))
			w.WriteHeader(http.StatusTemporaryRedirect)
		}),
	})
	server := harness.Start(t, harness.Options{Upstream: double.Registry(), Values: map[string]any{"allow_pull": true}})
	for _, place := range []string{
		"http://169.254.169.254/latest/meta-data/", "http://[fe80::1]/", "http://0.0.0.0:1/", "http://[::ffff:169.254.169.254]/", "http://[fd00:ec2::254]/",
	} {
		location.Store(place)
		got := harness.Call(t, harness.Request{Method: http.MethodGet, URL: server.URL("/v2/source/blobs/" + harness.NewBlob(1).Digest)})
		if got.WantError(t, http.StatusBadGateway, "UNAVAILABLE"); bytes.Contains(got.Body, []byte("169.254")) {
			t.Errorf("the client is told %s", got.Body)
		}
	}
	if got := server.AwaitLog(t, "no redirect is followed to an address of this kind", 5); got != 5 {
		t.Errorf("%d refusals in the log, want 5", got)
	}
}

// TestAPortal answers 200 with a page to everything: nothing is pushed, and nothing is there (quirk D12).
func TestAPortal(t *testing.T) {
	t.Parallel()
	double := harness.NewDouble(t, map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html><body>Please log in</body></html>")
	}})
	server := harness.Start(t, harness.Options{Upstream: double.Registry(), Values: map[string]any{"allow_pull": true}})
	digest := harness.NewBlob(1).Digest
	for _, request := range []string{
		"HEAD blobs/" + digest, "GET blobs/" + digest, "HEAD manifests/v1", "GET manifests/v1", "GET tags/list", "POST blobs/uploads/", "PUT manifests/v1",
	} {
		method, path, _ := strings.Cut(request, " ")
		harness.Call(t, harness.Request{Method: method, URL: server.URL("/v2/source/" + path)}).Want(t, http.StatusBadGateway)
	}
}

// TestARegistryThatNeverSays100 makes the first body wait for a second, and hardly those after it (quirk
// U12).
func TestARegistryThatNeverSays100(t *testing.T) {
	t.Parallel()
	double := harness.NewDouble(t, map[string]http.HandlerFunc{
		"GET /v2/{$}": harness.Pong,
		"PUT /v2/" + harness.Repository + "/manifests/": func(w http.ResponseWriter, r *http.Request) {
			conn, buffered, err := http.NewResponseController(w).Hijack() // net/http says 100 by itself
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			if _, err := io.CopyN(io.Discard, bufio.NewReader(buffered), r.ContentLength); err != nil {
				t.Error(err)
			}
			_, _ = fmt.Fprintf(conn, "HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		},
	})
	server := harness.Start(t, harness.Options{Upstream: double.Registry()})
	put := func() time.Duration {
		start := time.Now()
		harness.Call(t, harness.Request{
			Method: http.MethodPut, URL: server.URL("/v2/source/manifests/v1"), Body: strings.NewReader("{}"), Length: 2,
		}).Want(t, http.StatusCreated)
		return time.Since(start)
	}
	const patience = 900 * time.Millisecond
	if first := put(); first < patience {
		t.Errorf("the first took %v: a registry may take a second to ask for a body", first)
	}
	// On a loaded machine any may take long for other reasons; without the lesson none would be shorter.
	harness.Eventually(t, "a body that waits for less", func(context.Context) error {
		if next := put(); next >= patience {
			return fmt.Errorf("another took %v", next)
		}
		return nil
	})
}
