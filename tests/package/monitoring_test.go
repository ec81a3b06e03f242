// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"sigs.k8s.io/yaml"
)

const (
	monitored = "{" + bothMonitored
	// allMonitored has the namespaced API too.
	allMonitored = "{namespaced_api: {enabled: true}, " + bothMonitored

	bothMonitored = "image_proxy: {enabled: true, tls_secret: images-tls}, monitoring: {prometheus_rule: true, grafana_dashboard: true}}"
)

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
		if !ok && selector.Name != "up" && !strings.HasPrefix(selector.Name, "process_") && !strings.HasPrefix(selector.Name, "go_") {
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
	all := alerts(t, allMonitored)
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

// rules are the PrometheusRule's groups, as promtool reads them from a file.
func rules(t *testing.T, values string) string {
	t.Helper()
	rule := find(t, mustRender(t, productTemplates(t), values), namespace+"/PrometheusRule/local-source-proxy")
	spec, err := yaml.Marshal(rule.at("spec"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, spec, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestAlertsHaveRunbooks: each links to a section that exists.
func TestAlertsHaveRunbooks(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root(t), "bundle/alerts.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := alerts(t, allMonitored)
	for name, rule := range all {
		address, anchor, _ := strings.Cut(rule.Annotations["runbook_url"], "#")
		if !strings.HasSuffix(address, "/bundle/alerts.md") || anchor != strings.ToLower(name) || !strings.Contains(string(page), "\n## "+name+"\n") {
			t.Errorf("%s: the runbook is %q", name, rule.Annotations["runbook_url"])
		}
	}
	for _, section := range regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(string(page), -1) {
		if _, known := all[section[1]]; !known {
			t.Errorf("there is no alert %s", section[1])
		}
	}
}

// usual is what Prometheus has when all is well, by series.
func usual() map[string]string {
	const ours = `namespace="tap-local-source-system",container=`
	return map[string]string{
		`up{` + ours + `"local-source-proxy"}`: "1x60",
		`up{` + ours + `"image-proxy"}`:        "1x60",
		`lsp_requests_total{namespace="a",door="source",operation="upload-chunk",status="202"}`: "0+100x60",
		`lsp_requests_total{namespace="a",door="source",operation="upload-chunk",status="499"}`: "0+50x60",
		`lsp_requests_total{namespace="a",door="api",operation="upload-chunk",status="202"}`:    "0+100x60",
		// Developers who take a tag of another namespace.
		`lsp_requests_total{namespace="a",door="api",operation="manifest-put",status="403"}`:                                       "0+1x60",
		`lsp_requests_total{namespace="a",door="api",operation="upload-start",status="403"}`:                                       "0x60",
		`lsp_requests_total{namespace="a",door="source",operation="blob-get",status="403"}`:                                        "0+10x60",
		`lsp_requests_total{namespace="a",door="images",operation="manifest-get",status="200"}`:                                    "0+100x60",
		`lsp_upstream_request_duration_seconds_count{namespace="a",container="image-proxy",operation="ping",status="401"}`:         "0+20x60",
		`lsp_upstream_request_duration_seconds_count{namespace="a",container="image-proxy",operation="blob-get",status="200"}`:     "0+100x60",
		`lsp_upstream_request_duration_seconds_count{namespace="a",container="image-proxy",operation="blob-get",status="503"}`:     "0+1x60",
		`lsp_upstream_request_duration_seconds_count{namespace="a",container="image-proxy",operation="upload-chunk",status="499"}`: "0+50x60",
		`lsp_token_fetches_total{namespace="a",container="image-proxy",result="ok"}`:                                               "0+5x60",
		`lsp_token_fetches_total{namespace="a",container="image-proxy",result="refused"}`:                                          "0x60",
		`lsp_token_fetches_total{namespace="a",container="image-proxy",result="error"}`:                                            "0x60",
		`lsp_settings_in_force{namespace="a",container="image-proxy",settings="certificate"}`:                                      "1x60",
		`lsp_settings_in_force{namespace="a",container="local-source-proxy",settings="values"}`:                                    "1x60",
		`lsp_settings_in_force{namespace="a",container="local-source-proxy",settings="api_certificate"}`:                           "1x60",
		`lsp_settings_in_force{namespace="a",container="local-source-proxy",settings="front_proxy"}`:                               "1x60",
		`lsp_transfers_refused_total{namespace="a",container="image-proxy",door="images"}`:                                         "0x60",
		`lsp_image_objects{namespace="a",kind="License",state="valid"}`:                                                            "50x60",
		`lsp_image_objects{namespace="a",kind="License",state="invalid"}`:                                                          "0x60",
		`lsp_image_licenses_ending{namespace="a",within="14d"}`:                                                                    "0x60",
		`lsp_image_licenses_ending{namespace="a",within="7d"}`:                                                                     "0x60",
		`lsp_certificate_expires_timestamp_seconds{namespace="a",door="images"}`:                                                   "3000000x60",
		`lsp_certificate_expires_timestamp_seconds{namespace="a",door="api"}`:                                                      "3000000x60",
		`lsp_image_denials_total{namespace="a",app="",customer="",reason="unauthenticated"}`:                                       "0+100x60",
		`lsp_image_denials_total{namespace="a",app="",customer="",reason="unknown_license"}`:                                       "0+5x60",
		`lsp_image_denials_total{namespace="a",app="shop",customer="Acme",reason="revoked"}`:                                       "0+0.5x60",
	}
}

// faults are what each alert is for: series that take the place of the usual ones, or come beside them, and the
// alerts that have to fire.
func faults() []struct {
	series map[string]string
	firing []string
} {
	return []struct {
		series map[string]string
		firing []string
	}{
		{nil, nil},
		{map[string]string{`up{namespace="tap-local-source-system",container="local-source-proxy"}`: "1x10 0x50"}, []string{"LocalSourceProxyDown"}},
		{map[string]string{`up{namespace="tap-local-source-system",container="image-proxy"}`: "1x10 _x50"}, []string{"ImageProxyDown"}},
		{
			map[string]string{`lsp_upstream_request_duration_seconds_count{namespace="a",container="image-proxy",operation="blob-get",status="0"}`: "0+10x60"},
			[]string{"LocalSourceProxyUpstreamFailing"},
		},
		{map[string]string{`lsp_token_fetches_total{namespace="a",container="image-proxy",result="refused"}`: "0+1x60"}, []string{"LocalSourceProxyTokensRefused"}},
		{map[string]string{`lsp_token_fetches_total{namespace="a",container="image-proxy",result="error"}`: "0+1x60"}, []string{"LocalSourceProxyTokensFailing"}},
		{
			map[string]string{`lsp_requests_total{namespace="a",door="source",operation="upload-start",status="403"}`: "0+1x60"},
			[]string{"LocalSourceProxyPushesDenied"},
		},
		{
			map[string]string{`lsp_settings_in_force{namespace="a",container="local-source-proxy",settings="values"}`: "1x10 0x50"},
			[]string{"LocalSourceProxySettingsRefused"},
		},
		{
			map[string]string{`lsp_requests_total{namespace="a",door="source",operation="manifest-put",status="403"}`: "0+1x60"},
			[]string{"LocalSourceProxyPushesDenied"},
		},
		{
			map[string]string{`lsp_requests_total{namespace="a",door="api",operation="upload-start",status="403"}`: "0+1x60"},
			[]string{"LocalSourceProxyPushesDenied"},
		},
		{
			map[string]string{`lsp_settings_in_force{namespace="a",container="local-source-proxy",settings="api_certificate"}`: "1x10 0x50"},
			[]string{"LocalSourceProxySettingsRefused"},
		},
		{
			map[string]string{`lsp_settings_in_force{namespace="a",container="local-source-proxy",settings="front_proxy"}`: "1x10 0x50"},
			[]string{"LocalSourceProxySettingsRefused"},
		},
		{ // it was mended
			map[string]string{`lsp_settings_in_force{namespace="a",container="local-source-proxy",settings="values"}`: "1x10 0x30 1x20"}, nil,
		},
		{map[string]string{`lsp_transfers_refused_total{namespace="a",container="image-proxy",door="images"}`: "0+1x60"}, []string{"LocalSourceProxyFull"}},
		{map[string]string{`lsp_requests_total{namespace="a",door="source",operation="upload-chunk",status="502"}`: "0+20x60"}, []string{"LocalSourceProxyErrors"}},
		{map[string]string{`lsp_image_objects{namespace="a",kind="ExternalRegistry",state="invalid"}`: "1x60"}, []string{"ImageProxyObjectsInvalid"}},
		{map[string]string{`lsp_image_licenses_ending{namespace="a",within="14d"}`: "2x60"}, []string{"ImageProxyLicensesEndWithin14d"}},
		{
			map[string]string{`lsp_image_licenses_ending{namespace="a",within="14d"}`: "2x60", `lsp_image_licenses_ending{namespace="a",within="7d"}`: "1x60"},
			[]string{"ImageProxyLicensesEndWithin14d", "ImageProxyLicensesEndWithin7d"},
		},
		{map[string]string{`lsp_certificate_expires_timestamp_seconds{namespace="a",door="images"}`: "1000000x60"}, []string{"ImageProxyCertificateEndsWithin14d"}},
		{
			map[string]string{`lsp_certificate_expires_timestamp_seconds{namespace="a",door="images"}`: "500000x60"},
			[]string{"ImageProxyCertificateEndsWithin14d", "ImageProxyCertificateEndsWithin7d"},
		},
		// One side's certificate is not the other's.
		{map[string]string{`lsp_certificate_expires_timestamp_seconds{namespace="a",door="api"}`: "1000000x60"}, []string{"LocalSourceProxyCertificateEndsWithin14d"}},
		{
			map[string]string{`lsp_certificate_expires_timestamp_seconds{namespace="a",door="api"}`: "500000x60"},
			[]string{"LocalSourceProxyCertificateEndsWithin14d", "LocalSourceProxyCertificateEndsWithin7d"},
		},
		{ // it was renewed
			map[string]string{`lsp_certificate_expires_timestamp_seconds{namespace="a",door="api"}`: "500000x30 8000000x30"}, nil,
		},
		{
			map[string]string{`lsp_image_denials_total{namespace="a",app="shop",customer="Acme",reason="upstream_refused"}`: "0+1x60"},
			[]string{"ImageProxyCredentialRefused"},
		},
		{map[string]string{`lsp_image_denials_total{namespace="a",app="",customer="",reason="unknown_license"}`: "0+20x60"}, []string{"ImageProxyLicensesGuessed"}},
		{map[string]string{`lsp_image_denials_total{namespace="a",app="shop",customer="Acme",reason="expired"}`: "0+4x60"}, []string{"ImageProxyCustomerDenied"}},
	}
}

// TestAlertsFire in promtool: each for its fault, none as usual, and none for the fault of another.
func TestAlertsFire(t *testing.T) {
	all := slices.Sorted(maps.Keys(alerts(t, allMonitored)))
	type object = map[string]any
	var tests []object
	fired := map[string]bool{}
	for _, fault := range faults() {
		series := usual()
		maps.Copy(series, fault.series)
		var input, checks []object
		for name, values := range series {
			input = append(input, object{"series": name, "values": values})
		}
		for _, alert := range all {
			expected := []object{}
			if slices.Contains(fault.firing, alert) {
				expected, fired[alert] = append(expected, object{"labels": "{}", "value": 1}), true
			}
			checks = append(checks, object{
				"expr": `count(ALERTS{alertname="` + alert + `",alertstate="firing"})`, "eval_time": "50m", "exp_samples": expected,
			})
		}
		tests = append(tests, object{"name": fmt.Sprint(fault.series), "interval": "1m", "input_series": input, "promql_expr_test": checks})
	}
	for _, alert := range all {
		if !fired[alert] {
			t.Errorf("no fault makes %s fire", alert)
		}
	}
	content, err := json.Marshal(object{"rule_files": []string{rules(t, allMonitored)}, "evaluation_interval": "1m", "tests": tests})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "tests.yml") // JSON is YAML
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool := system(t, "promtool", "prometheus")
	if out, err := exec.CommandContext(t.Context(), promtool, "test", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
	if out, err := exec.CommandContext(t.Context(), promtool, "check", "rules", rules(t, allMonitored)).CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

// system returns a program of the system's packages.
func system(t *testing.T, program, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("%s is not installed: apt-get install %s", program, debianPackage)
	}
	return path
}
