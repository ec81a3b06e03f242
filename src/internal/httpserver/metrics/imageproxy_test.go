// SPDX-License-Identifier: Apache-2.0

package metrics_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver/metrics"
	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy"
)

func TestImages(t *testing.T) {
	m := metrics.New("dev", metrics.Options{})
	images := m.Images()
	for _, r := range []imageproxy.Record{
		{App: "app", Customer: "Acme", Action: imageproxy.Manifest, Status: 200, Bytes: 7, Image: "quay.io/team/api", Reference: "v1", Remote: "192.0.2.1", License: "acme"},
		{App: "app", Customer: "Acme", Action: imageproxy.Blob, Status: 200, Bytes: 100},
		{App: "app", Customer: "Acme", Action: imageproxy.Blob, Status: 403, Bytes: 50, Reason: imageproxy.Expired},
		{Action: imageproxy.Auth, Status: 401, Reason: imageproxy.UnknownLicense},
	} {
		images.Pulled(r)
	}
	images.Objects("License", 2, 1)
	images.Objects("License", 3, 0)
	var got []string
	for _, line := range scrape(t, m) {
		if strings.HasPrefix(line, "lsp_image_") {
			got = append(got, line)
		}
	}
	want := []string{
		`lsp_image_bytes_total{app="",customer=""} 0`,
		`lsp_image_bytes_total{app="app",customer="Acme"} 157`,
		`lsp_image_denials_total{app="",customer="",reason="expired"} 0`,
		`lsp_image_denials_total{app="",customer="",reason="not_licensed"} 0`,
		`lsp_image_denials_total{app="",customer="",reason="other_app"} 0`,
		`lsp_image_denials_total{app="",customer="",reason="rate_limited"} 0`,
		`lsp_image_denials_total{app="",customer="",reason="registry_closed"} 0`,
		`lsp_image_denials_total{app="",customer="",reason="registry_unknown"} 0`,
		`lsp_image_denials_total{app="",customer="",reason="repository_closed"} 0`,
		`lsp_image_denials_total{app="",customer="",reason="revoked"} 0`,
		`lsp_image_denials_total{app="",customer="",reason="unknown_license"} 1`,
		`lsp_image_denials_total{app="",customer="",reason="upstream_refused"} 0`,
		`lsp_image_denials_total{app="app",customer="Acme",reason="expired"} 1`,
		`lsp_image_objects{kind="ExternalRegistry",state="invalid"} 0`,
		`lsp_image_objects{kind="ExternalRegistry",state="valid"} 0`,
		`lsp_image_objects{kind="License",state="invalid"} 0`,
		`lsp_image_objects{kind="License",state="valid"} 3`,
		`lsp_image_requests_total{action="auth",app="",customer="",status="401"} 1`,
		`lsp_image_requests_total{action="blob",app="app",customer="Acme",status="200"} 1`,
		`lsp_image_requests_total{action="blob",app="app",customer="Acme",status="403"} 1`,
		`lsp_image_requests_total{action="manifest",app="app",customer="Acme",status="200"} 1`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}

// A repository that a customer mistyped raises no alert (quirk D13).
func TestATokenThatACustomerIsDeniedIsNotRefused(t *testing.T) {
	m := metrics.New("dev", metrics.Options{})
	images := m.Images()
	images.TokenFetch("refused")
	images.TokenFetch("ok")
	var got []string
	for _, line := range scrape(t, m) {
		if strings.HasPrefix(line, "lsp_token_fetches_total") {
			got = append(got, line)
		}
	}
	want := []string{
		`lsp_token_fetches_total{result="denied"} 1`, `lsp_token_fetches_total{result="error"} 0`,
		`lsp_token_fetches_total{result="ok"} 1`, `lsp_token_fetches_total{result="refused"} 0`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}
