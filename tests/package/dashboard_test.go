// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
)

type panel struct {
	ID          int
	Type        string
	Title       string
	Description string
	GridPos     struct{ X, Y, W, H int }
	Targets     []struct{ RefID, Expr string }
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
	panels := dashboard(t, allMonitored)
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
		if p.Description == "" {
			t.Errorf("%s has no description", p.Title)
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
			if strings.Contains(target.Expr, "images") || strings.Contains(target.Expr, "lsp_image_") || strings.Contains(target.Expr, "lsp_cache_") {
				t.Errorf("%s is about the image proxy, which is off", p.Title)
			}
		}
	}
	// What a bucket has is not known.
	for values, want := range map[string]map[string]bool{
		"":                         {"lsp_cache_answers_total": false, "lsp_cache_size_bytes": false},
		", cache: {enabled: true}": {"lsp_cache_answers_total": true, "lsp_cache_size_bytes": true},
		", cache: {enabled: true, storage: \"s3://images\"}": {"lsp_cache_answers_total": true, "lsp_cache_size_bytes": false},
	} {
		found := map[string]bool{}
		for _, p := range dashboard(t, "{image_proxy: {enabled: true, tls_secret: images-tls"+values+"}, monitoring: {grafana_dashboard: true}}") {
			for _, target := range p.Targets {
				for name := range want {
					found[name] = found[name] || strings.Contains(target.Expr, name)
				}
			}
		}
		if !maps.Equal(want, found) {
			t.Errorf("%q: %v, want %v", values, found, want)
		}
	}
}
