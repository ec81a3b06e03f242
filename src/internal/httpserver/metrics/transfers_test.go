// SPDX-License-Identifier: Apache-2.0

package metrics_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver/metrics"
)

// TestTransfers shows what memory holds, what of it is in use, who waits, and who was refused.
func TestTransfers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, transfers := metrics.New("", metrics.Options{}), httpserver.NewTransfers(1)
		m.Transfers("source", transfers)
		m.Transfers("images", httpserver.NewTransfers(7))
		if _, err := transfers.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = transfers.Begin(t.Context()) }()
		synctest.Wait()
		shows := func(want ...string) {
			t.Helper()
			w := httptest.NewRecorder()
			m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
			for _, line := range want {
				if !strings.Contains(w.Body.String(), line+"\n") {
					t.Errorf("no line %s", line)
				}
			}
		}
		shows(`lsp_transfers_limit{door="source"} 1`, `lsp_transfers_limit{door="images"} 7`, `lsp_transfers_in_flight{door="source"} 1`,
			`lsp_transfers_waiting{door="source"} 1`, `lsp_transfers_refused_total{door="source"} 0`)
		time.Sleep(time.Minute)
		synctest.Wait()
		shows(`lsp_transfers_waiting{door="source"} 0`, `lsp_transfers_refused_total{door="source"} 1`)
	})
}
