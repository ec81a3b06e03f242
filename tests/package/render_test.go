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
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
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
		"tap-local-source-system/Secret/local-source-proxy-registry",
		"tap-local-source-system/ServiceAccount/proxy-manager",
		"tap-local-source-system/RoleBinding/proxy-manager",
		"tap-local-source-system/Role/local-source-proxy-manager",
		"tap-local-source-system/Role/push-artifact",
		"tap-local-source-system/RoleBinding/service-proxy-role-binding",
	}
	without := func(id string) []string {
		return slices.DeleteFunc(slices.Clone(always), func(other string) bool { return other == id })
	}
	cases := map[string][]string{
		"default": always,
		"everything": append(slices.Clone(always),
			"tap-local-source-system/PodDisruptionBudget/local-source-proxy",
			"tap-local-source-system/NetworkPolicy/local-source-proxy",
			"tap-local-source-system/SecretImport/lsp-push-credentials",
			"tap-install/SecretExport/lsp-push-credentials",
			"tap-install/SecretExport/lsp-pull-credentials"),
		"openshift": append(slices.Clone(always), "tap-local-source-system/PodDisruptionBudget/local-source-proxy"),
		"iam-role":  always,
		"shared": append(slices.Clone(always),
			"tap-local-source-system/SecretImport/registries", "tap-install/SecretExport/registries"),
		"one-secret-for-both": append(without("/Namespace/tap-local-source-system"),
			"tap-local-source-system/SecretImport/registry", "tap-install/SecretExport/registry"),
		"secret-in-place": append(slices.Clone(always), "tap-install/SecretExport/pull"),
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
		"repository": "", "ca_cert_data": "", "plain_http": false, "allow_pull": false, "allow_delete": false, "allow_sub_repositories": false,
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
			"repository": "registry.example.com/apps/source", "ca_cert_data": own, "plain_http": true,
			"allow_pull": true, "allow_delete": true, "allow_sub_repositories": true,
		}},
		{"shared repository and both CAs", caseValues(t, "shared"), with(map[string]any{
			"repository": "registry.example.com/platform/source", "ca_cert_data": own + shared,
		})},
		{"own repository before the shared", "repository: a.example.com/own\nshared: {image_registry: {project_path: b.example.com/x}}",
			with(map[string]any{"repository": "a.example.com/own"})},
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

func deployment(t *testing.T, all []object) appsv1.Deployment {
	t.Helper()
	return decode[appsv1.Deployment](t, find(t, all, namespace+"/Deployment/local-source-proxy"))
}

func TestMemoryLimitOfGoIsBelowThePods(t *testing.T) {
	templates := productTemplates(t)
	for limit, want := range map[string]string{
		"100Mi": "90MiB", "1Gi": "921MiB", "1.5Gi": "1382MiB", "64M": "54MiB", "33554432": "28MiB", "102400Ki": "90MiB", "2G": "1716MiB",
	} {
		t.Run(limit, func(t *testing.T) {
			d := deployment(t, mustRender(t, templates, "proxy_configuration: {limits: {memory: \""+limit+"\"}}"))
			container := d.Spec.Template.Spec.Containers[0]
			if got := container.Resources.Limits.Memory().String(); container.Resources.Limits.Memory().Value() == 0 {
				t.Errorf("memory limit is %s", got)
			}
			for _, variable := range container.Env {
				if variable.Name == "GOMEMLIMIT" && variable.Value != want {
					t.Errorf("GOMEMLIMIT = %s, want %s", variable.Value, want)
				}
			}
			if container.Resources.Requests.Memory().Cmp(*container.Resources.Limits.Memory()) > 0 {
				t.Errorf("request %s is above the limit %s", container.Resources.Requests.Memory(), container.Resources.Limits.Memory())
			}
		})
	}
}

func TestPodsAreHardened(t *testing.T) {
	templates := productTemplates(t)
	for _, name := range goldenCases(t) {
		pod := deployment(t, mustRender(t, templates, caseValues(t, name))).Spec.Template.Spec
		container := pod.Containers[0]
		switch {
		case pod.SecurityContext.RunAsNonRoot == nil || !*pod.SecurityContext.RunAsNonRoot:
			t.Errorf("%s: may run as root", name)
		case pod.SecurityContext.SeccompProfile == nil || pod.SecurityContext.SeccompProfile.Type != "RuntimeDefault":
			t.Errorf("%s: no seccomp profile", name)
		case !*container.SecurityContext.ReadOnlyRootFilesystem:
			t.Errorf("%s: root file system can be written", name)
		case *container.SecurityContext.AllowPrivilegeEscalation:
			t.Errorf("%s: privilege escalation is allowed", name)
		case !slices.Equal(container.SecurityContext.Capabilities.Drop, []corev1.Capability{"ALL"}):
			t.Errorf("%s: keeps capabilities", name)
		case len(pod.Volumes) > 0:
			t.Errorf("%s: mounts volumes: %v", name, pod.Volumes)
		}
		byPlatform := name == "openshift" || name == "shared"
		if given := pod.SecurityContext.RunAsUser != nil; given == byPlatform {
			t.Errorf("%s: user id given: %v, left to the platform: %v", name, given, byPlatform)
		}
	}
}

func TestShutdownFitsIntoTheGracePeriod(t *testing.T) {
	pod := deployment(t, mustRender(t, productTemplates(t), "{}")).Spec.Template.Spec
	if !slices.Contains(pod.Containers[0].Args, "--shutdown-timeout=300s") || *pod.TerminationGracePeriodSeconds <= 300 {
		t.Errorf("args %v, grace period %d s", pod.Containers[0].Args, *pod.TerminationGracePeriodSeconds)
	}
}

func TestOnlyTheRoleReplacesThePods(t *testing.T) {
	templates := productTemplates(t)
	template := func(values string) string {
		text, err := yaml.Marshal(deployment(t, mustRender(t, templates, values)).Spec.Template)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	const role = "push_secret: {aws_iam_role_arn: \"arn:aws:iam::123456789012:role/%\"}"
	if template(strings.Replace(role, "%", "a", 1)) == template(strings.Replace(role, "%", "b", 1)) {
		t.Error("another IAM role leaves the pods as they are")
	}
	if template("{}") != template("{repository: a.example.com/b, allow_pull: true, plain_http: true}") {
		t.Error("values that the server watches replace the pods")
	}
}

func TestServiceAccountReadsItsSecretsOnly(t *testing.T) {
	all := mustRender(t, productTemplates(t), caseValues(t, "everything"))
	role := decode[rbacv1.Role](t, find(t, all, namespace+"/Role/local-source-proxy-manager"))
	want := []rbacv1.PolicyRule{
		{
			APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get", "list", "watch"},
			ResourceNames: []string{"local-source-proxy-values", "local-source-proxy-session-key", "lsp-push-credentials"},
		},
		{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"create"}},
	}
	if diff := cmp.Diff(want, role.Rules); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}
