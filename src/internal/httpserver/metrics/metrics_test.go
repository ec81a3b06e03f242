// SPDX-License-Identifier: Apache-2.0

package metrics_test

import (
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver/metrics"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

// scrape returns all series of the proxy, with their values, times and buckets aside.
func scrape(t *testing.T, m *metrics.Metrics) []string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	var series []string
	for line := range strings.SplitSeq(w.Body.String(), "\n") {
		if strings.HasPrefix(line, "lsp_") && !regexp.MustCompile(`_bucket|_sum|^lsp_request_duration`).MatchString(line) {
			series = append(series, line)
		}
	}
	return series
}

// TestAPush is what a push leaves behind: names, labels and values.
func TestAPush(t *testing.T) {
	m := metrics.New("1.2.3", metrics.Options{})
	p, registry := proxytest.Simple(t, proxytest.Config{Observer: m, Recorder: m})
	realm := &registrytest.Realm{URL: "https://auth.example.com/token", User: proxytest.User, Password: proxytest.Password}
	p.Network.Serve("auth.example.com", realm)
	registry.GuardBy(realm.Guard)
	p.PushBlob([]byte("content"))
	p.Do("GET", "/v2/source/blobs/"+registrytest.Digest([]byte("content"))).Is(403)
	p.Do("GET", "/elsewhere/"+proxytest.Password).Is(404)
	m.Reload("values", true)
	got := scrape(t, m)
	for _, line := range got {
		if strings.HasPrefix(line, `lsp_request_bytes_total{direction="out"`) {
			got = slices.DeleteFunc(got, func(other string) bool { return other == line })
		}
	}
	want := []string{
		`lsp_build_info{version="1.2.3"} 1`,
		`lsp_request_bytes_total{direction="in",door="source"} 7`,
		`lsp_requests_total{door="source",operation="blob-get",status="403"} 1`,
		`lsp_requests_total{door="source",operation="unknown",status="404"} 1`,
		`lsp_requests_total{door="source",operation="upload-chunk",status="202"} 1`,
		`lsp_requests_total{door="source",operation="upload-finish",status="201"} 1`,
		`lsp_requests_total{door="source",operation="upload-start",status="202"} 1`,
		`lsp_settings_in_force{settings="values"} 1`,
		`lsp_settings_reloads_total{result="applied"} 1`,
		`lsp_settings_reloads_total{result="refused"} 0`,
		`lsp_token_fetches_total{result="error"} 0`,
		`lsp_token_fetches_total{result="ok"} 1`,
		`lsp_token_fetches_total{result="refused"} 0`,
		`lsp_uploads_in_flight{door="source"} 0`,
		`lsp_upstream_request_duration_seconds_count{operation="ping",status="0"} 0`,
		`lsp_upstream_request_duration_seconds_count{operation="ping",status="401"} 1`,
		`lsp_upstream_request_duration_seconds_count{operation="token",status="200"} 1`,
		`lsp_upstream_request_duration_seconds_count{operation="upload-chunk",status="202"} 1`,
		`lsp_upstream_request_duration_seconds_count{operation="upload-finish",status="201"} 1`,
		`lsp_upstream_request_duration_seconds_count{operation="upload-start",status="202"} 1`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}

// TestUploadsInFlight counts what pushes content, from the moment that it is known, and nothing else.
func TestUploadsInFlight(t *testing.T) {
	m := metrics.New("dev", metrics.Options{})
	in := func() string {
		for _, line := range scrape(t, m) {
			if value, ok := strings.CutPrefix(line, `lsp_uploads_in_flight{door="source"} `); ok {
				return value
			}
		}
		return "none"
	}
	upload, download := &httpserver.Entry{Side: "source", Operation: "upload-chunk"}, &httpserver.Entry{Side: "source", Operation: "blob-get"}
	m.RequestStarted(upload)
	m.RequestStarted(download)
	if in() != "1" {
		t.Errorf("in flight: %s, want 1", in())
	}
	m.RequestFinished(download, true)
	m.RequestFinished(upload, true)
	m.RequestFinished(upload, false)
	if in() != "0" {
		t.Errorf("in flight: %s, want 0", in())
	}
}

// TestByNamespace is on request only: each namespace is a series.
func TestByNamespace(t *testing.T) {
	entry := &httpserver.Entry{Side: "api", Operation: "manifest-put", Status: 201, Namespace: "team-a"}
	for by, want := range map[bool]string{
		false: `lsp_requests_total{door="api",operation="manifest-put",status="201"} 1`,
		true:  `lsp_requests_total{door="api",operation="manifest-put",source_namespace="team-a",status="201"} 1`,
	} {
		m := metrics.New("dev", metrics.Options{ByNamespace: by})
		m.Pushes("api")
		m.RequestFinished(entry, false)
		if got := scrape(t, m); !slices.Contains(got, want) {
			t.Errorf("by namespace %v: %s", by, strings.Join(got, "\n"))
		}
	}
}
