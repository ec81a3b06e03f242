// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"sigs.k8s.io/yaml"
)

const monitored = "{image_proxy: {enabled: true, external_url: https://images.example.com}, monitoring: {prometheus_rule: true, grafana_dashboard: true}}"

// series are the metrics that the server registers, with their labels: src/internal/httpserver/metrics holds the list
// against itself.
func series(t *testing.T) map[string][]string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root(t), "src/internal/httpserver/metrics/testdata/series.txt"))
	if err != nil {
		t.Fatalf("read the server's metrics: %v", err)
	}
	found := map[string][]string{}
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		found[fields[0]] = fields[1:]
	}
	return found
}

// checkExpression reports what in an expression is no PromQL, no metric of ours, or no label of that metric.
func checkExpression(t *testing.T, where, expression string) {
	t.Helper()
	// Prometheus adds these; a process has the others whatever it does.
	added := []string{"namespace", "container", "instance", "le", model.MetricNameLabel}
	// Grafana fills these in.
	expression = strings.NewReplacer("$__rate_interval", "5m", "$__range", "6h").Replace(expression)
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expression)
	if err != nil {
		t.Errorf("%s: %s: %v", where, expression, err)
		return
	}
	known, selectors := series(t), 0
	allowed := slices.Clone(added)
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		selectors++
		own, ok := known[regexp.MustCompile(`_(bucket|count|sum)$`).ReplaceAllString(selector.Name, "")]
		if !ok && !strings.HasPrefix(selector.Name, "process_") {
			t.Errorf("%s: the server has no metric %s", where, selector.Name)
		}
		allowed = append(allowed, own...)
		for _, matcher := range selector.LabelMatchers {
			if !slices.Contains(own, matcher.Name) && !slices.Contains(added, matcher.Name) {
				t.Errorf("%s: %s has no label %s", where, selector.Name, matcher.Name)
			}
		}
		return nil
	})
	if selectors == 0 {
		t.Errorf("%s: %s looks at nothing", where, expression)
	}
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		if sum, ok := node.(*parser.AggregateExpr); ok {
			for _, label := range sum.Grouping {
				if !slices.Contains(allowed, label) {
					t.Errorf("%s: sums by %s, which no metric in it has", where, label)
				}
			}
		}
		return nil
	})
}

// alerts are the rules of the PrometheusRule, as Prometheus itself reads them.
func alerts(t *testing.T, values string) map[string]rulefmt.Rule {
	t.Helper()
	rule := find(t, mustRender(t, productTemplates(t), values), namespace+"/PrometheusRule/local-source-proxy")
	spec, err := yaml.Marshal(rule.at("spec"))
	if err != nil {
		t.Fatal(err)
	}
	groups, errs := rulefmt.Parse(spec, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Error(err)
	}
	found := map[string]rulefmt.Rule{}
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			found[rule.Alert] = rule
		}
	}
	return found
}

func TestAlertsLookAtMetricsOfTheServer(t *testing.T) {
	all := alerts(t, monitored)
	for name, rule := range all {
		checkExpression(t, name, rule.Expr)
		if rule.Labels["severity"] == "" || rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
			t.Errorf("%s: without severity, summary or description", name)
		}
	}
	for name := range alerts(t, "monitoring: {prometheus_rule: true}") {
		if strings.HasPrefix(name, "ImageProxy") {
			t.Errorf("%s is for the image proxy, which is off", name)
		}
		delete(all, name)
	}
	if len(all) == 0 {
		t.Error("there are no alerts for the image proxy")
	}
}

// Each alert fires for what it is for, and not for what is usual.
func TestAlertsFire(t *testing.T) {
	const (
		usual = `
  lsp_requests_total{namespace="a", door="source", operation="upload-chunk", status="202"} 0+100x30
  lsp_requests_total{namespace="a", door="source", operation="blob-get", status="403"} 0+10x30
  lsp_requests_total{namespace="a", door="images", operation="manifest-get", status="200"} 0+100x30
  lsp_upstream_request_duration_seconds_count{namespace="a", container="image-proxy", operation="ping", status="401"} 0+20x30
  lsp_upstream_request_duration_seconds_count{namespace="a", container="image-proxy", operation="blob-get", status="200"} 0+100x30
  lsp_upstream_request_duration_seconds_count{namespace="a", container="image-proxy", operation="blob-get", status="503"} 0+1x30
  lsp_token_fetches_total{namespace="a", container="image-proxy", result="ok"} 0+5x30
  lsp_token_fetches_total{namespace="a", container="image-proxy", result="refused"} 0x30
  lsp_token_fetches_total{namespace="a", container="image-proxy", result="error"} 0x30
  lsp_settings_reloads_total{namespace="a", container="image-proxy", result="applied"} 0+1x30
  lsp_settings_reloads_total{namespace="a", container="image-proxy", result="refused"} 0x30
  lsp_image_objects{namespace="a", kind="License", state="valid"} 50x30
  lsp_image_objects{namespace="a", kind="License", state="invalid"} 0x30
  lsp_image_denials_total{namespace="a", app="", customer="", reason="unauthenticated"} 0+100x30
  lsp_image_denials_total{namespace="a", app="shop", customer="Acme", reason="revoked"} 0+0.5x30
`
	)
	cases := map[string]string{
		"LocalSourceProxyUpstreamFailing": `lsp_upstream_request_duration_seconds_count{namespace="a", container="image-proxy", operation="blob-get", status="0"} 0+10x30`,
		"LocalSourceProxyTokensRefused":   `lsp_token_fetches_total{namespace="a", container="local-source-proxy", result="refused"} 0+1x30`,
		"LocalSourceProxyTokensFailing":   `lsp_token_fetches_total{namespace="a", container="local-source-proxy", result="error"} 0+1x30`,
		"LocalSourceProxyPushesDenied":    `lsp_requests_total{namespace="a", door="source", operation="upload-start", status="403"} 0+1x30`,
		"LocalSourceProxySettingsRefused": `lsp_settings_reloads_total{namespace="a", container="local-source-proxy", result="refused"} 0x15 1x15`,
		"LocalSourceProxyErrors":          `lsp_requests_total{namespace="a", door="source", operation="upload-chunk", status="502"} 0+10x30`,
		"ImageProxyObjectsInvalid":        `lsp_image_objects{namespace="a", kind="ExternalRegistry", state="invalid"} 1x30`,
		"ImageProxyCredentialRefused":     `lsp_image_denials_total{namespace="a", app="shop", customer="Acme", reason="upstream_refused"} 0+1x30`,
		"ImageProxyLicensesGuessed":       `lsp_image_denials_total{namespace="a", app="", customer="", reason="unknown_license"} 0+20x30`,
		"ImageProxyCustomerDenied":        `lsp_image_denials_total{namespace="a", app="shop", customer="Acme", reason="expired"} 0+4x30`,
	}
	all := alerts(t, monitored)
	if names := slices.Sorted(maps.Keys(all)); !slices.Equal(names, slices.Sorted(maps.Keys(cases))) {
		t.Fatalf("alerts %v, want one case for each", names)
	}
	engine := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
	firing := func(script string) []string {
		storage := promqltest.LoadedStorage(t, script)
		var names []string
		for name, rule := range all {
			query, err := engine.NewInstantQuery(t.Context(), storage, nil, rule.Expr, time.Unix(25*60, 0))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			result := query.Exec(t.Context())
			if vector, ok := result.Value.(promql.Vector); result.Err != nil || !ok {
				t.Errorf("%s: %v, %v", name, result.Value, result.Err)
			} else if len(vector) > 0 {
				names = append(names, name)
			}
			query.Close()
		}
		return names
	}
	if names := firing("load 1m" + usual); len(names) > 0 {
		t.Errorf("as usual: %v", names)
	}
	for name, fault := range cases {
		if names := firing("load 1m" + usual + "  " + fault + "\n"); !slices.Equal(names, []string{name}) {
			t.Errorf("%s: %v", fault, names)
		}
	}
}

type panel struct {
	ID      int
	Type    string
	Title   string
	GridPos struct{ X, Y, W, H int }
	Targets []struct{ RefID, Expr string }
}

// dashboard reads the JSON that Grafana is given.
func dashboard(t *testing.T, values string) []panel {
	t.Helper()
	config := find(t, mustRender(t, productTemplates(t), values), namespace+"/ConfigMap/local-source-proxy-dashboard")
	if config.text("metadata", "labels", "grafana_dashboard") != "1" {
		t.Error("Grafana's sidecar looks for the label grafana_dashboard: \"1\"")
	}
	var board struct {
		UID, Title string
		Panels     []panel
	}
	if err := json.Unmarshal([]byte(config.text("data", "local-source-proxy.json")), &board); err != nil {
		t.Fatalf("the dashboard is no JSON: %v", err)
	}
	if board.UID == "" || board.Title == "" {
		t.Error("the dashboard has no name")
	}
	return board.Panels
}

func TestDashboardShowsMetricsOfTheServer(t *testing.T) {
	panels := dashboard(t, monitored)
	seen := map[string]bool{}
	for i, p := range panels {
		if p.ID != i+1 || p.Title == "" {
			t.Errorf("panel %d: number %d, title %q", i, p.ID, p.Title)
		}
		for _, other := range panels[:i] {
			if a, b := p.GridPos, other.GridPos; a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("%s and %s overlap", p.Title, other.Title)
			}
		}
		if p.Type == "row" {
			continue
		}
		if len(p.Targets) == 0 {
			t.Errorf("%s shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			checkExpression(t, p.Title, target.Expr)
			for name := range series(t) {
				seen[name] = seen[name] || strings.Contains(target.Expr, name)
			}
		}
	}
	for name := range series(t) {
		if !seen[name] {
			t.Errorf("no panel shows %s", name)
		}
	}
	for _, p := range dashboard(t, "monitoring: {grafana_dashboard: true}") {
		for _, target := range p.Targets {
			if strings.Contains(target.Expr, "images") || strings.Contains(target.Expr, "lsp_image_") {
				t.Errorf("%s is about the image proxy, which is off", p.Title)
			}
		}
	}
}
