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

	bothMonitored = "image_proxy: {enabled: true, tls_secret: images-tls, cache: {enabled: true}}, monitoring: {prometheus_rule: true, grafana_dashboard: true}}"
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
	for name := range alerts(t, "{image_proxy: {enabled: true, tls_secret: images-tls}, monitoring: {prometheus_rule: true}}") {
		if strings.HasPrefix(name, "ImageProxyCache") {
			t.Errorf("%s is for the cache, which is off", name)
		}
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
