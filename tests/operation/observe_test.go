// SPDX-License-Identifier: Apache-2.0

package operation_test

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m, "registry")) }

func guarded(t *testing.T) *harness.Registry {
	t.Helper()
	tokens := harness.NewTokens(t, 0)
	return tokens.Guard(harness.Distribution{Program: harness.Tool(t, "registry"), Token: tokens.Config(t)}.Start(t))
}

// TestProbesAndMetrics: the admin address has them, the side has not, and one push is counted in each metric.
func TestProbesAndMetrics(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Options{Upstream: guarded(t)})
	get := func(url string) harness.Answer {
		return harness.Call(t, harness.Request{Method: http.MethodGet, URL: url})
	}
	for _, path := range []string{"/livez", "/readyz", "/metrics"} {
		get(server.Admin+path).Want(t, http.StatusOK)
		get(server.URL(path)).Want(t, http.StatusNotFound)
	}
	get(server.Admin+"/v2/").Want(t, http.StatusNotFound)

	blob := harness.NewBlob(256 << 10)
	server.Push(t, blob)
	get(server.URL("/v2/source/manifests/missing")).Want(t, http.StatusNotFound)
	for _, status := range []string{"202", "201", "404"} {
		if server.Metric(t, "lsp_requests_total", `door="source"`, `status="`+status+`"`) == 0 {
			t.Errorf("no request with status %s is counted", status)
		}
	}
	if got := server.Metric(t, "lsp_request_bytes_total", `door="source"`, `direction="in"`); got != float64(len(blob.Content)) {
		t.Errorf("%v bytes in, want %d", got, len(blob.Content))
	}
	if server.Metric(t, "lsp_request_bytes_total", `door="source"`, `direction="out"`) == 0 {
		t.Error("no bytes out are counted")
	}
	if server.Metric(t, "lsp_upstream_request_duration_seconds_count") == 0 {
		t.Error("no request to the upstream is counted")
	}
	if server.Metric(t, "lsp_token_fetches_total") == 0 {
		t.Error("no token fetch is counted")
	}
	server.AwaitMetric(t, 0, "lsp_uploads_in_flight", `door="source"`)
}

// TestTheLogSaysWhatStarts: the version, and where pushes go.
func TestTheLogSaysWhatStarts(t *testing.T) {
	t.Parallel()
	upstream := guarded(t)
	server := harness.Start(t, harness.Options{Upstream: upstream})
	server.AwaitLog(t, `"msg":"starting"`, 1)
	lines := server.Stderr.Records("starting")
	if len(lines) != 1 || lines[0]["version"] == nil || lines[0]["registry"] != upstream.Host || lines[0]["repository"] != harness.Repository {
		t.Errorf("the log says %v", lines)
	}
}

// TestOneLineARequest: each request has one line in the log, with an id of its own and the same fields.
func TestOneLineARequest(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Options{Upstream: guarded(t)})
	address := server.URL("/v2/source/manifests/missing?secret=of-the-query")
	const requests = 5
	for range requests {
		harness.Call(t, harness.Request{Method: http.MethodGet, URL: address}).Want(t, http.StatusNotFound)
	}
	server.Stop(t)
	records := server.Stderr.Records("request")
	if len(records) != requests {
		t.Fatalf("%d lines for %d requests", len(records), requests)
	}
	ids := map[any]bool{}
	for _, record := range records {
		ids[record["id"]] = true
		want := map[string]any{"door": "source", "method": "GET", "status": 404.0, "upstream_status": 404.0}
		for field, value := range want {
			if record[field] != value {
				t.Errorf("%s is %v, want %v", field, record[field], value)
			}
		}
		for _, field := range []string{"operation", "duration", "bytes_in", "bytes_out"} {
			if _, has := record[field]; !has {
				t.Errorf("no field %s in %v", field, record)
			}
		}
		for field, value := range record {
			if text, _ := value.(string); len(text) > 0 && containsQuery(text) {
				t.Errorf("the query is in the field %s", field)
			}
		}
	}
	if len(ids) != requests {
		t.Errorf("%d ids for %d requests", len(ids), requests)
	}
}

// TestGoKeepsBelowThePodsMemoryLimit by a tenth, which is for what Go does not count.
func TestGoKeepsBelowThePodsMemoryLimit(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Options{Upstream: guarded(t), Environment: []string{"POD_MEMORY_LIMIT=104857600"}})
	if got := server.Metric(t, "go_gc_gomemlimit_bytes"); got != 90<<20 {
		t.Errorf("Go's limit is %v bytes, want 90 MiB", got)
	}
	// bundle/operating.md has the table of what a limit admits.
	if got := server.Metric(t, "lsp_transfers_limit", `door="source"`); got != 103 {
		t.Errorf("%v transfers are taken on, want 103", got)
	}
}

func TestAMemoryLimitThatIsNone(t *testing.T) {
	t.Parallel()
	for _, limit := range []string{"100Mi", "0", "-1"} {
		cmd := harness.Command("serve", "--embedded-registry")
		cmd.Env = append(cmd.Env, "POD_MEMORY_LIMIT="+limit)
		process := harness.StartProcess(t, "local-source-proxy", cmd)
		code, stderr := process.Wait(t), process.Stderr.String()
		if code != 2 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, `POD_MEMORY_LIMIT is "`+limit+`": it must be a number of bytes`) {
			t.Errorf("exit code %d:\n%s", code, stderr)
		}
	}
}
