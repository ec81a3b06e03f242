// SPDX-License-Identifier: Apache-2.0

package metrics_test

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver/metrics"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
)

// TestLicensesThatEnd counts those in force that end soon, each once however many ids it has.
func TestLicensesThatEnd(t *testing.T) {
	now := time.Now()
	var credentials []*catalog.Credential
	for _, each := range []*catalog.License{
		{Name: "ended", Expires: now.Add(-time.Hour)},
		{Name: "this week", Expires: now.Add(3 * 24 * time.Hour)},
		{Name: "next week", Expires: now.Add(10 * 24 * time.Hour)},
		{Name: "next month", Expires: now.Add(40 * 24 * time.Hour)},
		{Name: "never"},
		{Name: "revoked", Expires: now.Add(time.Hour), Revoked: true},
	} {
		for _, id := range []string{"first", "second"} {
			credentials = append(credentials, &catalog.Credential{License: each, Name: id, Hash: sha256.Sum256([]byte(each.Name + id))})
		}
	}
	m := metrics.New("dev", metrics.Options{})
	m.Images().Licenses(catalog.New(credentials, nil).Licenses)
	var got []string
	for _, line := range scrape(t, m) {
		if strings.HasPrefix(line, "lsp_image_licenses_ending") {
			got = append(got, line)
		}
	}
	if diff := cmp.Diff([]string{`lsp_image_licenses_ending{within="14d"} 2`, `lsp_image_licenses_ending{within="7d"} 1`}, got); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}
