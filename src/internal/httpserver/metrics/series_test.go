// SPDX-License-Identifier: Apache-2.0

package metrics_test

import (
	"flag"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver/metrics"
	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
)

var update = flag.Bool("update", false, "write testdata/series.txt")

// everything is a server's metrics once something has happened.
func everything() *metrics.Metrics {
	m := metrics.New("1.2.3", metrics.Options{})
	entry := &httpserver.Entry{Side: "source", Operation: "upload-chunk", Status: 202}
	m.RequestStarted(entry)
	m.RequestFinished(entry, true)
	m.UpstreamRequest("blob-get", 200, time.Second)
	m.TokenFetch("ok")
	m.Reload("values", true)
	m.Certificate("images", time.Now)
	m.Transfers("source", httpserver.NewTransfers(1))
	m.Connections("source", httpserver.NewConnections(1, nil))
	images := m.Images()
	images.Pulled(imageproxy.Record{App: "shop", Customer: "Acme", Reason: "revoked"})
	images.Objects("License", 1, 0)
	images.Licenses(catalog.New(nil, nil).Licenses)
	m.Cache().Size(func() (int64, bool) { return 1, true })
	return m
}

// TestSeries holds the list of all metrics and their labels, which alerts and dashboards are checked against
// (tests/package).
func TestSeries(t *testing.T) {
	m := everything()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	var got []string
	family, label := "", regexp.MustCompile(`[{,]([a-z]+)="`)
	for line := range strings.Lines(w.Body.String()) {
		if name, ok := strings.CutPrefix(line, "# TYPE lsp_"); ok {
			family = "lsp_" + strings.Fields(name)[0]
		}
		if family == "" || !strings.HasPrefix(line, family) {
			continue
		}
		for _, match := range label.FindAllStringSubmatch(line, -1) {
			if match[1] != "le" {
				family += " " + match[1]
			}
		}
		got, family = append(got, family+"\n"), ""
	}
	slices.Sort(got)
	const file = "testdata/series.txt"
	if *update {
		if err := os.WriteFile(file, []byte(strings.Join(got, "")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), strings.Join(got, "")); diff != "" {
		t.Errorf("%s (-want +got; go test -update writes it):\n%s", file, diff)
	}
}

// TestMetricsAreDocumented: the operator's page lists every metric, in the words of its help text.
func TestMetricsAreDocumented(t *testing.T) {
	w := httptest.NewRecorder()
	everything().Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	kinds, table := map[string]string{}, "\n| metric | kind | meaning |\n|---|---|---|\n"
	for line := range strings.Lines(w.Body.String()) {
		if fields := strings.Fields(line); len(fields) == 4 && fields[1] == "TYPE" {
			kinds[fields[2]] = fields[3]
		}
	}
	for line := range strings.Lines(w.Body.String()) {
		if help, ok := strings.CutPrefix(line, "# HELP lsp_"); ok {
			name, meaning, _ := strings.Cut(strings.TrimSpace(help), " ")
			table += "| `lsp_" + name + "` | " + kinds["lsp_"+name] + " | " + meaning + " |\n"
		}
	}
	const file, begin, end = "../../../../bundle/operating.md", "<!-- metrics: begin, kept by go test -update -->\n", "\n<!-- metrics: end -->"
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(page), begin)
	now, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no table of metrics", file)
	}
	if *update {
		if err := os.WriteFile(file, []byte(before+begin+table+end+after), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(now, table); diff != "" {
		t.Errorf("%s (-want +got; go test -update writes it):\n%s", file, diff)
	}
}
