// SPDX-License-Identifier: Apache-2.0

package upstream_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// TestUpstreamRequestsAreLogged at debug, each attempt and each token, without what is secret; at info nothing.
func TestUpstreamRequestsAreLogged(t *testing.T) {
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo} {
		var log bytes.Buffer
		r, double, network := world(t, upstream.Config{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: level}))})
		realm := bearer(t, network, double)
		var shown []string
		double.When("GET", "/tags/list").Do(func(w http.ResponseWriter, req *http.Request, _ http.Handler) {
			shown = append(shown, strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer "))
			w.WriteHeader(http.StatusOK)
		})
		_, _ = send(t.Context(), r, "GET", "/tags/list", nil)
		_, _ = send(t.Context(), r, "PATCH", "/blobs/uploads/planted-state", strings.NewReader("planted-layer"))
		text := log.String()
		if level == slog.LevelInfo {
			if text != "" {
				t.Errorf("logged at info: %s", text)
			}
			continue
		}
		for _, want := range []string{
			"operation=test method=GET host=" + proxytest.Host + " path=/v2/" + proxytest.Repository + "/tags/list status=200 ms=",
			"host=auth.example.com path=/token status=200",
			"method=PATCH host=" + proxytest.Host + " path=/v2/" + proxytest.Repository + "/blobs/uploads/ status=",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in %s", want, text)
			}
		}
		for _, secret := range append(shown, proxytest.Password, realm.Password, "planted-", "scope=", "Basic ") {
			if secret == "" || strings.Contains(text, secret) {
				t.Errorf("%q in %s", secret, text)
			}
		}
	}
}
