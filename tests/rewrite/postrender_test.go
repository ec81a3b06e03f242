// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// pluginManifest is the example that the repository ships for Helm 4.
const pluginManifest = "src/cmd/kubectl-lsp/helm-plugin/plugin.yaml"

// plugin installs it for Helm 4, as "helm plugin install" does.
func (p *place) plugin() {
	p.Helper()
	root, err := harness.Root()
	if err != nil {
		p.Fatal(err)
	}
	p.run("", "helm4", "plugin", "install", filepath.Join(root, filepath.Dir(pluginManifest)))
}

// release is a chart with a private and a public image, and hooks that use the private one.
func (p *place) release(private, open string) {
	p.Helper()
	p.file("shop/Chart.yaml", "apiVersion: v2\nname: shop\nversion: 0.1.0\n")
	p.file("shop/values.yaml", "note: a\\tb\n")
	p.file("shop/templates/NOTES.txt", "Enjoy.\n")
	p.file("shop/templates/web.yaml", `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: {{ .Release.Namespace }}}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      imagePullSecrets: [{name: mine}]
      initContainers: [{name: init, image: "`+open+`:v1"}]
      containers: [{name: web, image: "`+private+`:v1"}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: setup}
`)
	p.file("shop/templates/hooks.yaml", `apiVersion: v1
kind: ServiceAccount
metadata: {name: setup, annotations: {helm.sh/hook: pre-install, helm.sh/hook-weight: "-1"}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: setup, annotations: {helm.sh/hook: "pre-install,pre-upgrade"}}
spec: {template: {spec: {restartPolicy: Never, serviceAccountName: setup, containers: [{name: a, image: "`+private+`:v1"}]}}}
`)
}

// TestPostRenderer: Helm itself starts us, and what it would apply has the new names and the Secret. Helm 3 keeps
// its hooks to itself. Helm 4 hands them over, so the Secret is a hook as well.
func TestPostRenderer(t *testing.T) {
	t.Parallel()
	basic, _, open := registries(t)
	p := newPlace(t)
	p.release(basic, open)
	p.plugin()
	host, _, _ := strings.Cut(basic, "/")
	ours := []string{
		"--license-file", p.file("license.yaml", customer), "--proxy-domain", "proxy.example.com", "--alias", host + "=vendor", "--namespace", "prod",
	}
	renamed := through + "vendor/" + harness.Repository + ":v1"
	web := []string{open + ":v1", renamed, "secret my-kots-app-registry", "secret mine"}
	for _, tt := range []struct {
		helm, renderer string
		args           []string
		job            []string
	}{
		{"helm", "kubectl-lsp", append([]string{"rewrite", "-f", "-"}, ours...), []string{basic + ":v1"}},
		{"helm4", "lsp", ours, []string{renamed, "secret my-kots-app-registry"}},
	} {
		t.Run(tt.helm, func(t *testing.T) {
			p := &place{T: t, dir: p.dir, env: p.env}
			args := []string{"template", "shop", "shop", "--namespace", "prod", "--post-renderer", tt.renderer}
			for _, arg := range tt.args {
				args = append(args, "--post-renderer-args="+arg)
			}
			out, _ := p.run("", tt.helm, args...)
			got := map[string][]string{}
			for name, object := range objectsOf(t, out) {
				got[name] = object.images()
				if object.Kind == "Secret" && !strings.Contains(string(object.Data[corev1.DockerConfigJsonKey]), licenseID) {
					t.Errorf("the Secret has %v", object.Data)
				}
			}
			want := map[string][]string{
				"Deployment web/prod": web, "Job setup": tt.job, "ServiceAccount setup": nil, "Secret my-kots-app-registry/prod": nil,
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s\n%s", diff, out)
			}
			if got := strings.Count(out, "kind: ServiceAccount\n"); got != 2 {
				t.Errorf("%d of two ServiceAccounts of one name:\n%s", got, out)
			}
			if early := strings.Contains(out, "pre-install,pre-upgrade,pre-rollback"); early != (tt.helm == "helm4") {
				t.Errorf("the Secret is a hook: %v\n%s", early, out)
			}
			if left, err := os.ReadDir(p.dir); err != nil || len(left) != 2 {
				t.Errorf("it wrote a file: %v, %v", left, err)
			}
		})
	}
}

// TestPostRendererFails: nothing is rendered, and Helm 3 prints our line. Helm 4 prints nothing of a
// post-renderer's.
func TestPostRendererFails(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.release("quay.io/o/private", "quay.io/o/open")
	p.plugin()
	for _, tt := range []struct {
		helm string
		args []string
		want string
	}{
		{"helm", []string{"--post-renderer=kubectl-lsp", "--post-renderer-args=rewrite", "--post-renderer-args=-f", "--post-renderer-args=-"}, "read the license: open /no/such"},
		{"helm4", []string{"--post-renderer=lsp"}, `plugin "lsp" exited with error`},
	} {
		out, said, err := p.try("", tt.helm, append([]string{"template", "shop", "shop", "--post-renderer-args=--license-file=/no/such"}, tt.args...)...)
		if err == nil || out != "" || !strings.Contains(said, tt.want) {
			t.Errorf("%s: %v\n%s%s", tt.helm, err, out, said)
		}
	}
}

// TestChartsInABase: kustomize renders helmCharts of a base with the real Helms, as kubectl kustomize does.
func TestChartsInABase(t *testing.T) {
	t.Parallel()
	basic, _, open := registries(t)
	host, _, _ := strings.Cut(basic, "/")
	for _, helm := range []string{"helm", "helm4"} {
		t.Run(helm, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.release(basic, open)
			if err := os.MkdirAll(filepath.Join(p.dir, "base/charts"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(p.dir, "shop"), filepath.Join(p.dir, "base/charts/shop")); err != nil {
				t.Fatal(err)
			}
			p.file("base/kustomization.yaml", "helmCharts:\n- {name: shop, releaseName: shop, namespace: prod, skipHooks: true}\n")
			rewrite := []string{
				"lsp", "rewrite", "--base", "base", "--license-file", p.file("license.yaml", customer), "--proxy-domain", "proxy.example.com",
				"--alias", host + "=vendor", "--namespace", "prod",
			}
			charts := []string{"--enable-helm", "--helm-command", helm}
			if _, said, err := p.try("", "kubectl", rewrite...); err == nil || !strings.Contains(said, "with --enable-helm only") {
				t.Errorf("without --enable-helm: %v\n%s", err, said)
			}
			_, said := p.run("", "kubectl", append(rewrite, charts...)...)
			apply := "kubectl kustomize --enable-helm --helm-command " + helm + " overlays/midstream | kubectl apply"
			if helm == "helm" {
				apply = "kubectl kustomize --enable-helm overlays/midstream | kubectl apply"
			}
			if !strings.Contains(said, apply) {
				t.Errorf("it says %s\nwant %s", said, apply)
			}
			built, _ := p.run("", "kubectl", append([]string{"kustomize", "overlays/midstream"}, charts...)...)
			all := objectsOf(t, built)
			want := []string{open + ":v1", through + "vendor/" + harness.Repository + ":v1", "secret my-kots-app-registry", "secret mine"}
			if diff := cmp.Diff(want, all["Deployment web/prod"].images()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
