// SPDX-License-Identifier: Apache-2.0

package metrics_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver/metrics"
)

// TestSettingsInForce: the words of the log, with underscores.
func TestSettingsInForce(t *testing.T) {
	m := metrics.New("dev", metrics.Options{})
	m.InForce("session keys")
	m.Reload("values", true)
	m.Reload("docker config", true)
	m.Reload("docker config", false)
	var got []string
	for _, line := range scrape(t, m) {
		if strings.HasPrefix(line, "lsp_settings_") {
			got = append(got, line)
		}
	}
	want := []string{
		`lsp_settings_in_force{settings="docker_config"} 0`,
		`lsp_settings_in_force{settings="session_keys"} 1`,
		`lsp_settings_in_force{settings="values"} 1`,
		`lsp_settings_reloads_total{result="applied"} 2`,
		`lsp_settings_reloads_total{result="refused"} 1`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}
