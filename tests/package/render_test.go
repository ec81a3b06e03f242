// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the golden files")

// goldenCases are the names of testdata/render/NAME.values.yml.
func goldenCases(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/render/*.values.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in testdata/render: %v", err)
	}
	for i, file := range files {
		files[i] = strings.TrimSuffix(filepath.Base(file), ".values.yml")
	}
	return files
}

func caseValues(t *testing.T, name string) string {
	t.Helper()
	values, err := os.ReadFile(filepath.Join("testdata/render", name+".values.yml"))
	if err != nil {
		t.Fatalf("read case: %v", err)
	}
	return string(values)
}

func compareGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatalf("write golden file: %v", err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("read golden file (go test -update writes it): %v", err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-want +got; go test -update writes it):\n%s", file, diff)
	}
}

func TestManifestsAreAsReviewed(t *testing.T) {
	templates := productTemplates(t)
	for _, name := range goldenCases(t) {
		t.Run(name, func(t *testing.T) {
			result := render(t, templates, caseValues(t, name))
			if result.err != nil {
				t.Fatalf("ytt: %v\n%s", result.err, result.stderr)
			}
			compareGolden(t, filepath.Join("testdata/render", name+".golden.yml"), result.stdout)
		})
	}
}

func TestMakeRenderPrintsTheSame(t *testing.T) {
	file, err := filepath.Abs("testdata/render/everything.values.yml")
	if err != nil {
		t.Fatal(err)
	}
	got := mustRun(t, command{dir: root(t), args: []string{"make", "--silent", "render", "VALUES=" + file}})
	want := render(t, productTemplates(t), caseValues(t, "everything")).stdout
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("make render (-ytt +make):\n%s", diff)
	}
}

// The table of resources that clients and operators rely on.
func TestResourcesHaveTheirNames(t *testing.T) {
	always := []string{
		"/Namespace/tap-local-source-system",
		"tap-local-source-system/Service/local-source-proxy",
		"tap-local-source-system/Deployment/local-source-proxy",
		"tap-local-source-system/Secret/local-source-proxy-values",
		"tap-local-source-system/Secret/local-source-proxy-session-key",
		"tap-local-source-system/ServiceAccount/proxy-manager",
		"tap-local-source-system/RoleBinding/proxy-manager",
		"tap-local-source-system/Role/local-source-proxy-manager",
		"tap-local-source-system/Role/push-artifact",
		"tap-local-source-system/RoleBinding/service-proxy-role-binding",
	}
	images := []string{
		"tap-local-source-system/Service/image-proxy",
		"tap-local-source-system/Deployment/image-proxy",
		"tap-local-source-system/ServiceAccount/image-proxy",
		"tap-local-source-system/Secret/image-proxy-token-key",
		"tap-local-source-system/Role/image-proxy",
		"tap-local-source-system/RoleBinding/image-proxy",
	}
	// What kapp is told about secretgen-controller's kinds; no resource.
	const config = "/Config/"
	definitions := []string{
		"/CustomResourceDefinition/licenses.imageproxy.apps.tanzu.vmware.com",
		"/CustomResourceDefinition/externalregistries.imageproxy.apps.tanzu.vmware.com",
	}
	serviceProxy := []string{
		"tap-local-source-system/Service/local-source-proxy",
		"tap-local-source-system/Role/push-artifact",
		"tap-local-source-system/RoleBinding/service-proxy-role-binding",
	}
	api := []string{
		"tap-local-source-system/Service/local-source-proxy-api",
		"tap-local-source-system/ConfigMap/local-source-proxy-kapp",
		"tap-local-source-system/Secret/local-source-proxy-api-certificate",
	}
	beyond := []string{
		"/APIService/v1alpha1.localsource.apps.tanzu.vmware.com",
		"/ClusterRole/local-source-proxy-push",
		"/ClusterRole/local-source-proxy-api-service",
		"/ClusterRoleBinding/local-source-proxy-api-service",
		"kube-system/RoleBinding/local-source-proxy-authentication-reader",
	}
	without := func(ids ...string) []string {
		return slices.DeleteFunc(slices.Clone(always), func(other string) bool { return slices.Contains(ids, other) })
	}
	cases := map[string][]string{
		"default": always,
		"everything": append(slices.Clone(always),
			"tap-local-source-system/PodDisruptionBudget/local-source-proxy",
			"tap-local-source-system/NetworkPolicy/local-source-proxy",
			"tap-local-source-system/SecretImport/lsp-push-credentials",
			"tap-local-source-system/SecretImport/mirror-credentials",
			"tap-install/SecretExport/lsp-push-credentials",
			"tap-install/SecretExport/lsp-pull-credentials", "platform/SecretExport/mirror-credentials", config),
		"openshift": append(slices.Clone(always), "tap-local-source-system/PodDisruptionBudget/local-source-proxy"),
		"iam-role":  always,
		"shared": append(slices.Clone(always),
			"tap-local-source-system/SecretImport/registries", "tap-install/SecretExport/registries", config),
		"one-secret-for-both": append(without("/Namespace/tap-local-source-system"),
			"tap-local-source-system/SecretImport/registry", "tap-install/SecretExport/registry", config),
		"image-proxy": slices.Concat(always, images, definitions, []string{
			"tap-local-source-system/PodDisruptionBudget/image-proxy",
			"tap-local-source-system/NetworkPolicy/image-proxy",
			"tap-local-source-system/NetworkPolicy/local-source-proxy",
			"tap-local-source-system/SecretImport/lsp-push-credentials", config,
		}),
		"image-proxy-cache": slices.Concat(always, images, definitions, []string{
			"tap-local-source-system/PodDisruptionBudget/image-proxy",
			"tap-local-source-system/PrometheusRule/local-source-proxy",
			"tap-local-source-system/ConfigMap/local-source-proxy-dashboard",
		}),
		"image-proxy-cache-bucket": slices.Concat(always, images, definitions, []string{
			"tap-local-source-system/PodDisruptionBudget/image-proxy",
			"tap-local-source-system/PrometheusRule/local-source-proxy",
			"tap-local-source-system/ConfigMap/local-source-proxy-dashboard",
		}),
		"image-proxy-cache-claim": slices.Concat(always, images, definitions),
		"image-proxy-ingress": slices.Concat(without("/Namespace/tap-local-source-system"), images, []string{
			"tap-local-source-system/Ingress/image-proxy",
		}),
		"monitoring": slices.Concat(always, images, definitions, []string{
			"tap-local-source-system/PodDisruptionBudget/image-proxy",
			"tap-local-source-system/PrometheusRule/local-source-proxy",
			"tap-local-source-system/ConfigMap/local-source-proxy-dashboard",
		}),
		"namespaced-api": slices.Concat(always, api, beyond, []string{
			"tap-local-source-system/NetworkPolicy/local-source-proxy",
			"tap-local-source-system/SecretImport/lsp-push-credentials",
			"tap-local-source-system/PrometheusRule/local-source-proxy",
			"tap-local-source-system/ConfigMap/local-source-proxy-dashboard",
			"tap-local-source-system/PodDisruptionBudget/local-source-proxy", config,
		}),
		// One replica, because somebody says so, and no Service and Roles of existing clients.
		"namespaced-api-alone": slices.Concat(without(serviceProxy...), api, beyond, []string{
			"tap-local-source-system/NetworkPolicy/local-source-proxy",
			"tap-local-source-system/SecretImport/lsp-push-credentials", config,
		}),
		// Nothing that pushes: no credential for it, either.
		"image-proxy-alone": slices.Concat([]string{
			"/Namespace/tap-local-source-system",
			"tap-local-source-system/PodDisruptionBudget/image-proxy",
			"tap-local-source-system/PrometheusRule/local-source-proxy",
			"tap-local-source-system/ConfigMap/local-source-proxy-dashboard",
		}, images, definitions),
		"secret-in-place": append(slices.Clone(always), "tap-install/SecretExport/pull", config),
	}
	templates := productTemplates(t)
	for _, name := range goldenCases(t) {
		want, ok := cases[name]
		if !ok {
			t.Errorf("case %s says nothing about its resources", name)
		}
		got := ids(mustRender(t, templates, caseValues(t, name)))
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: resources (-want +got):\n%s", name, diff)
		}
	}
}

func serverValues(t *testing.T, all []object) map[string]any {
	t.Helper()
	var values map[string]any
	text := find(t, all, namespace+"/Secret/local-source-proxy-values").text("stringData", "values.yml")
	if err := yaml.UnmarshalStrict([]byte(text), &values); err != nil {
		t.Fatalf("parse values.yml: %v\n%s", err, text)
	}
	return values
}

func TestValuesReachTheServer(t *testing.T) {
	const own, shared = "-----BEGIN CERTIFICATE-----\nb3du\n-----END CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\nc2hhcmVk\n-----END CERTIFICATE-----\n"
	off := map[string]any{
		"repository": "", "ca_cert_data": "", "plain_http": false, "token_realms": []any{}, "allow_pull": false, "allow_delete": false, "allow_sub_repositories": false,
	}
	with := func(changes map[string]any) map[string]any {
		values := map[string]any{}
		for key, value := range off {
			values[key] = value
		}
		for key, value := range changes {
			values[key] = value
		}
		return values
	}
	cases := []struct {
		name, values string
		want         map[string]any
	}{
		{"nothing given", "{}", off},
		{"everything", caseValues(t, "everything"), map[string]any{
			"repository": "registry.example.com/apps/source", "ca_cert_data": own, "plain_http": true, "token_realms": []any{"auth.example.net", "auth.example.org:8443"},
			"allow_pull": true, "allow_delete": true, "allow_sub_repositories": true,
		}},
		{"shared repository and both CAs", caseValues(t, "shared"), with(map[string]any{
			"repository": "registry.example.com/platform/source", "ca_cert_data": own + shared,
		})},
		{"own repository before the shared", "repository: a.example.com/own\nshared: {image_registry: {project_path: b.example.com/x}}",
			with(map[string]any{"repository": "a.example.com/own"})},
		{"the namespaced API", "namespaced_api: {enabled: true}", with(map[string]any{"namespaced_api": map[string]any{"enabled": true, "tenancy": "repositories"}})},
		{"tags", "namespaced_api: {enabled: true, tenancy: tags}", with(map[string]any{"namespaced_api": map[string]any{"enabled": true, "tenancy": "tags"}})},
		{"tags of an API that is off", "namespaced_api: {tenancy: tags}", off},
		{"shared CA alone, without its last line break", "shared: {ca_cert_data: \"" + strings.ReplaceAll(strings.TrimSpace(shared), "\n", "\\n") + "\"}",
			with(map[string]any{"ca_cert_data": shared})},
	}
	templates := productTemplates(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, serverValues(t, mustRender(t, templates, c.values))); diff != "" {
				t.Errorf("values.yml (-want +got):\n%s", diff)
			}
		})
	}
}
