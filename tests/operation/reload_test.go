// SPDX-License-Identifier: Apache-2.0

package operation_test

import (
	"net/http"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// TestReload: changed values are used by the next request, without a restart.
func TestReload(t *testing.T) {
	t.Parallel()
	upstream := guarded(t)
	server := harness.Start(t, harness.Options{Upstream: upstream})
	blob := harness.NewBlob(1 << 10)
	server.Push(t, blob)
	get := harness.Request{Method: http.MethodGet, URL: server.URL("/v2/source/blobs/" + blob.Digest)}
	harness.Call(t, get).WantError(t, http.StatusForbidden, "DENIED")
	applied := server.Metric(t, "lsp_settings_reloads_total", `result="applied"`)
	harness.WriteJSON(t, server.ValuesFile, map[string]any{
		"repository": upstream.Host + "/" + harness.Repository, "allow_pull": true,
	})
	server.AwaitMetric(t, applied+1, "lsp_settings_reloads_total", `result="applied"`)
	harness.Call(t, get).Want(t, http.StatusOK)
}

// TestBadReload: values that cannot be used leave the last good ones in force, and the log and a metric say
// so.
func TestBadReload(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		file func(*harness.Server) string
		bad  string
	}{
		"malformed values":        {func(s *harness.Server) string { return s.ValuesFile }, "repository: [\n"},
		"unknown key":             {func(s *harness.Server) string { return s.ValuesFile }, "repositry: x/y\n"},
		"not a CA":                {func(s *harness.Server) string { return s.ValuesFile }, "ca_cert_data: not a certificate\n"},
		"malformed docker config": {func(s *harness.Server) string { return s.DockerConfigFile }, `{"auths":`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := harness.Start(t, harness.Options{Upstream: guarded(t)})
			server.Push(t, harness.NewBlob(1<<10))
			file := tc.file(server)
			harness.WriteFile(t, file, []byte(tc.bad))
			server.AwaitMetric(t, 1, "lsp_settings_reloads_total", `result="refused"`)
			server.Push(t, harness.NewBlob(1<<10))
			server.AwaitLog(t, file, 1)
			harness.Call(t, harness.Request{Method: http.MethodGet, URL: server.Admin + "/readyz"}).Want(t, http.StatusOK)
		})
	}
}
