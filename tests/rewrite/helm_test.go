// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// chart makes the Secret as vendors' charts do.
func (p *place) chart() {
	p.Helper()
	p.file("chart/Chart.yaml", "apiVersion: v2\nname: my-chart\nversion: 0.1.0\n")
	p.file("chart/values.yaml", "replicas: 1\n")
	p.file("chart/templates/secret.yaml", `{{- if dig "replicated" "dockerconfigjson" "" (.Values.global | default dict) }}
apiVersion: v1
kind: Secret
metadata:
  name: enterprise-pull-secret
type: kubernetes.io/dockerconfigjson
data:
  .dockerconfigjson: {{ .Values.global.replicated.dockerconfigjson }}
{{- end }}
`)
}

// newEmptyCluster is an API server that knows Secrets and has none: what "helm install --dry-run" asks before
// it renders.
func newEmptyCluster(t *testing.T) string {
	t.Helper()
	answers := map[string]string{
		"/version": `{"major":"1","minor":"36","gitVersion":"v1.36.3"}`,
		"/api":     `{"kind":"APIVersions","versions":["v1"]}`,
		"/api/v1":  `{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"secrets","kind":"Secret","namespaced":true,"verbs":["get"]}]}`,
		"/apis":    `{"kind":"APIGroupList","apiVersion":"v1","groups":[]}`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if answers[r.URL.Path] == "" {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = io.WriteString(w, answers[r.URL.Path])
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestHelmValues: "helm install -f -" takes them as they are, and the chart's Secret is a docker config with
// the license.
func TestHelmValues(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.chart()
	for _, format := range []string{"yaml", "json"} {
		values, said := p.run("", "kubectl", "lsp", "helm-values", "--license-file", p.file("license.yaml", customer), "-o", format,
			"--proxy-domain", "proxy.example.com", "--registry-domain", "registry.example.com")
		if said != "" {
			t.Errorf("it says %s", said)
		}
		p.wantSecret("template", values)
		p.wantSecret("install --dry-run", values)
	}
	if out, _ := p.run("", "helm", "template", "my-app", "chart"); len(objectsOf(t, out)) != 0 {
		t.Errorf("the chart makes the Secret without the values:\n%s", out)
	}
}

// wantSecret lets Helm use the values and looks at the Secret.
func (p *place) wantSecret(how, values string) {
	p.Helper()
	args := []string{"template", "my-app", "chart", "-f", "-"}
	if how != "template" {
		args = []string{"install", "my-app", "chart", "--dry-run=client", "--disable-openapi-validation", "--kube-apiserver", newEmptyCluster(p.T), "-o", "json", "-f", "-"}
	}
	out, _ := p.run(values, "helm", args...)
	if how != "template" {
		var release struct{ Manifest string }
		if err := json.Unmarshal([]byte(out), &release); err != nil {
			p.Fatalf("%s: %v\n%s", how, err, out)
		}
		out = release.Manifest
	}
	var config struct {
		Auths map[string]struct{ Username, Password string }
	}
	secret := objectsOf(p.T, out)["Secret enterprise-pull-secret"]
	if err := json.Unmarshal(secret.Data[corev1.DockerConfigJsonKey], &config); err != nil {
		p.Fatalf("%s: %v\n%s", how, err, out)
	}
	type entry = struct{ Username, Password string }
	want := map[string]entry{"proxy.example.com": {"LICENSE_ID", licenseID}, "registry.example.com": {"LICENSE_ID", licenseID}}
	if diff := cmp.Diff(want, config.Auths); diff != "" {
		p.Errorf("%s: %s", how, diff)
	}
}
