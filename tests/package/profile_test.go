// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/component-helpers/auth/rbac/validation"
	"sigs.k8s.io/yaml"
)

const installer = "local-source-proxy-installer"

// platformValues is a whole platform values file, with the usual keys of other packages.
func platformValues(t *testing.T) string {
	t.Helper()
	values, err := os.ReadFile("testdata/profile/platform.values.yml")
	if err != nil {
		t.Fatalf("read sample: %v", err)
	}
	return string(values)
}

// packageInstall returns the PackageInstall, or nil when the profile does not install the package.
func packageInstall(all []object) object {
	for _, o := range all {
		if o.text("kind") == "PackageInstall" {
			return o
		}
	}
	return nil
}

func TestProfilesInstallThePackage(t *testing.T) {
	const excluded = "excluded_packages: [a.b.c, local-source-proxy.apps.tanzu.vmware.com]"
	cases := map[string]bool{
		"{}":                                 true, // the platform's own default is full
		"profile: full":                      true,
		"profile: iterate":                   true,
		"profile: light":                     true,
		"profile: build":                     false,
		"profile: run":                       false,
		"profile: view":                      false,
		"{profile: full, " + excluded + "}":  false,
		"{profile: light, " + excluded + "}": false,
		"{profile: iterate, excluded_packages: [tap-gui.tanzu.vmware.com]}":  true,
		"{profile: full, excluded_packages: null, local_source_proxy: null}": true,
	}
	templates := profileTemplates(t)
	for values, want := range cases {
		t.Run(values, func(t *testing.T) {
			all := mustRender(t, templates, values)
			if got := packageInstall(all) != nil; got != want {
				t.Errorf("installed: %v, want %v", got, want)
			}
			if !want && len(all) > 0 {
				t.Errorf("something is left: %v", ids(all))
			}
		})
	}
}

func TestProfileIsAsReviewed(t *testing.T) {
	result := render(t, profileTemplates(t), platformValues(t))
	if result.err != nil {
		t.Fatalf("ytt: %v\n%s", result.err, result.stderr)
	}
	compareGolden(t, "testdata/profile/platform.golden.yml", result.stdout)
}

// passedOn returns the values that the PackageInstall takes from its Secret.
func passedOn(t *testing.T, all []object) string {
	t.Helper()
	install := packageInstall(all)
	refs, _ := install.at("spec", "values").([]any)
	if len(refs) != 1 {
		t.Fatalf("values of the PackageInstall: %v", refs)
	}
	name := object(refs[0].(map[string]any)).text("secretRef", "name")
	return find(t, all, install.text("metadata", "namespace")+"/Secret/"+name).text("stringData", "values.yml")
}

func TestProfilePassesOnWhatConcernsThePackage(t *testing.T) {
	all := mustRender(t, profileTemplates(t), platformValues(t))
	text := passedOn(t, all)
	var got map[string]any
	if err := yaml.UnmarshalStrict([]byte(text), &got); err != nil {
		t.Fatalf("parse: %v", err)
	}
	want := map[string]any{
		"repository":       "registry.example.com/sources",
		"push_secret":      map[string]any{"name": "lsp-push-credentials", "namespace": "tap-install", "create_export": true},
		"pull_secret":      map[string]any{"name": "lsp-pull-credentials", "namespace": "developer-secrets", "create_export": true},
		"create_namespace": false,
		"shared": map[string]any{
			"ca_cert_data":            "-----BEGIN CERTIFICATE-----\nc2hhcmVk\n-----END CERTIFICATE-----\n",
			"kubernetes_distribution": "",
			"kubernetes_version":      "1.30",
			"image_registry": map[string]any{
				"project_path": "registry.example.com/platform",
				"secret":       map[string]any{"name": "registries-credentials", "namespace": "tap-install"},
			},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	// The platform's own password stands beside what we need.
	if strings.Contains(text, "not-for-the-proxy") || strings.Contains(text, "platform-robot") {
		t.Error("the platform's registry account was copied")
	}
	// What is passed on is what the package takes.
	mustRender(t, productTemplates(t), text)
}

func TestProfileRefusesOurMistakesAndIgnoresOthers(t *testing.T) {
	cases := []struct{ name, values, want string }{
		{"unknown profile", "profile: complete", "full"},
		{"excluded packages that are no list", "excluded_packages: local-source-proxy.apps.tanzu.vmware.com", "expected: array"},
		{"misspelt key of ours", "local_source_proxy: {reposiory: a}", `did you mean "repository"?`},
		{"wrong value of ours", "local_source_proxy: {repository: \"https://a.example.com/b\"}", "has a scheme"},
		{"our section in another spelling", "local-source-proxy: {repository: a.example.com/b}", `did you mean "local_source_proxy"?`},
		{"our section in camel case", "localSourceProxy: {}", `did you mean "local_source_proxy"?`},
		{"our section as a text", "local_source_proxy: a.example.com/b", "must be a mapping"},
		{"shared as a list", "shared: [a]", "shared must be a mapping"},
		{"wrong shared value", "shared: {ca_cert_data: nothing}", "is not a PEM bundle"},
		{"what the profile decides for the image proxy", "local_source_proxy: {image_proxy: {create_crds: true}}", "image_proxy.create_crds is set by the profile"},
		{"wrong value for the image proxy", "local_source_proxy: {image_proxy: {ingress: {enabled: true}}}", "image_proxy.domains is empty"},
		{"the image proxy as a list", "local_source_proxy: {image_proxy: [a]}", "local_source_proxy.image_proxy must be a mapping"},
		{"what the profile decides for the API", "local_source_proxy: {namespaced_api: {create_cluster_resources: false}}", "namespaced_api.create_cluster_resources is set by the profile"},
		{"the API as a list", "local_source_proxy: {namespaced_api: [a]}", "local_source_proxy.namespaced_api must be a mapping"},
		{"wrong value for the API", "local_source_proxy: {allow_pull: true, namespaced_api: {enabled: true, tenancy: tags}}", "allow_pull is true, and"},
		{"what the profile decides", "local_source_proxy: {create_namespace: true}", "are set by the profile"},
	}
	templates := profileTemplates(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			result := render(t, templates, c.values)
			if result.err == nil || !strings.Contains(result.stderr, c.want) {
				t.Errorf("error %v, want a message with %q:\n%s", result.err, c.want, result.stderr)
			}
		})
	}
}

// The definitions of the image proxy's objects are for the whole cluster, where the installer has no rights:
// the profile has them.
func TestProfileHasTheImageProxysDefinitions(t *testing.T) {
	profile, product := profileTemplates(t), productTemplates(t)
	definitions := func(all []object) []object {
		return slices.DeleteFunc(slices.Clone(all), func(o object) bool { return o.text("kind") != "CustomResourceDefinition" })
	}
	const values = "image_proxy: {enabled: true, external_url: https://images.example.com, registry_secrets: [quay-pull]}"
	all := mustRender(t, profile, "local_source_proxy: {"+values+"}")
	if diff := cmp.Diff(definitions(mustRender(t, product, values)), definitions(all)); diff != "" {
		t.Errorf("definitions (-package +profile):\n%s", diff)
	}
	passed := mustRender(t, product, passedOn(t, all))
	find(t, passed, namespace+"/Deployment/image-proxy")
	if left := definitions(passed); len(left) > 0 {
		t.Errorf("the package creates them too: %v", ids(left))
	}
	for _, values := range []string{"{}", "local_source_proxy: {image_proxy: {enabled: false}}", "{profile: run, local_source_proxy: {" + values + "}}"} {
		if found := definitions(mustRender(t, profile, values)); len(found) > 0 {
			t.Errorf("%s: %v", values, ids(found))
		}
	}
}

// A changed value has to change the PackageInstall: kapp then waits for it before it removes what the former
// values needed.
func TestChangedValuesChangeThePackageInstall(t *testing.T) {
	templates := profileTemplates(t)
	spec := func(values string) any { return packageInstall(mustRender(t, templates, values)).at("spec") }
	first := spec("local_source_proxy: {repository: a.example.com/b}")
	if cmp.Equal(first, spec("local_source_proxy: {repository: a.example.com/c}")) {
		t.Error("another repository leaves the PackageInstall as it was")
	}
	if diff := cmp.Diff(first, spec("{tap_gui: {}, local_source_proxy: {repository: a.example.com/b}}")); diff != "" {
		t.Errorf("another package's value changes the PackageInstall:\n%s", diff)
	}
}

func TestProfileUsesTheNamespaceItIsInstalledIn(t *testing.T) {
	all := mustRender(t, profileTemplates(t), "installation_namespace: packages")
	for _, id := range []string{"packages/PackageInstall/local-source-proxy", "packages/ServiceAccount/" + installer} {
		find(t, all, id)
	}
	binding := decode[rbacv1.RoleBinding](t, find(t, all, namespace+"/RoleBinding/"+installer))
	if binding.Subjects[0].Namespace != "packages" {
		t.Errorf("the binding is for a ServiceAccount in %s", binding.Subjects[0].Namespace)
	}
}

// rulesIn returns what the installer may do in a namespace.
func rulesIn(t *testing.T, all []object, namespace string) []rbacv1.PolicyRule {
	t.Helper()
	var rules []rbacv1.PolicyRule
	for _, o := range all {
		if o.text("kind") == "Role" && o.text("metadata", "namespace") == namespace {
			rules = append(rules, decode[rbacv1.Role](t, o).Rules...)
		}
	}
	return rules
}

// The ServiceAccount may do what each set of values needs, and may grant the Roles that the package creates:
// Kubernetes' own check of privilege escalation is asked.
func TestInstallerMayDoWhatTheInstallationNeeds(t *testing.T) {
	resources := map[string]string{"NetworkPolicy": "networkpolicies", "Ingress": "ingresses"}
	profile, product := profileTemplates(t), productTemplates(t)
	for _, name := range goldenCases(t) {
		values := caseValues(t, name)
		if strings.Contains(values, "shared:") || strings.Contains(values, "create_namespace") {
			continue // not for the section local_source_proxy; the sample below has shared values
		}
		section := "local_source_proxy:\n  " + strings.ReplaceAll(strings.TrimSpace(values), "\n", "\n  ")
		checkInstaller(t, name, mustRender(t, profile, section), product, resources)
	}
	checkInstaller(t, "the image proxy", mustRender(t, profile, withImageProxy), product, resources)
	checkInstaller(t, "the namespaced API", mustRender(t, profile, withAPI), product, resources)
	checkInstaller(t, "platform", mustRender(t, profile, platformValues(t)), product, resources)
}

// withImageProxy has everything of the image proxy that a profile can have.
const withImageProxy = `local_source_proxy:
  push_secret: {name: lsp-push-credentials, namespace: tap-install}
  network_policy: {enabled: true, ingress_cidrs: [192.0.2.1/32]}
  monitoring: {prometheus_rule: true, grafana_dashboard: true}
  image_proxy:
    enabled: true
    registry_secrets: [quay-pull]
    domains: [images.example.com]
    trusted_proxies: [10.244.0.0/16]
    ingress: {enabled: true}
    cache: {enabled: true, storage: "s3://images", secret: images-bucket}
`

func checkInstaller(t *testing.T, name string, all []object, product string, resources map[string]string) {
	t.Helper()
	for _, o := range mustRender(t, product, passedOn(t, all)) {
		if o.text("apiVersion") == "kapp.k14s.io/v1alpha1" {
			continue // for kapp itself, which creates no such resource
		}
		in := o.text("metadata", "namespace")
		if in == "" {
			t.Errorf("%s: %s would need a right beyond namespaces", name, o.id())
		}
		group, _, grouped := strings.Cut(o.text("apiVersion"), "/")
		if !grouped {
			group = ""
		}
		resource := resources[o.text("kind")]
		if resource == "" {
			resource = strings.ToLower(o.text("kind")) + "s"
		}
		needs := []rbacv1.PolicyRule{
			{APIGroups: []string{group}, Resources: []string{resource}, Verbs: []string{"list", "watch", "create"}},
			{APIGroups: []string{group}, Resources: []string{resource}, ResourceNames: []string{o.text("metadata", "name")}, Verbs: []string{"get", "update", "patch", "delete"}},
		}
		if o.text("kind") == "Role" {
			needs = append(needs, decode[rbacv1.Role](t, o).Rules...)
		}
		if covered, missing := validation.Covers(rulesIn(t, all, in), needs); !covered {
			t.Errorf("%s: for %s the installer lacks %v", name, o.id(), missing)
		}
	}
}

func TestInstallerMayDoNoMore(t *testing.T) {
	profile := profileTemplates(t)
	for name, values := range map[string]string{"platform": platformValues(t), "the image proxy": withImageProxy, "the namespaced API": withAPI} {
		checkInstallerIsLimited(t, name, mustRender(t, profile, values))
	}
}

func checkInstallerIsLimited(t *testing.T, name string, all []object) {
	t.Helper()
	for _, o := range all {
		if o.text("kind") == "ClusterRoleBinding" && !cmp.Equal(o.at("subjects"), []any{map[string]any{"kind": "ServiceAccount", "name": "proxy-manager", "namespace": namespace}}) {
			t.Errorf("%s: %s reaches beyond namespaces: %v", name, o.id(), o.at("subjects"))
		}
		for _, rule := range rulesIn(t, []object{o}, o.text("metadata", "namespace")) {
			for _, list := range [][]string{rule.APIGroups, rule.Resources, rule.Verbs} {
				if slices.Contains(list, "*") {
					t.Errorf("%s: %s has a wildcard: %v", name, o.id(), rule)
				}
			}
			if slices.Contains(rule.Verbs, "escalate") || slices.Contains(rule.Verbs, "bind") || slices.Contains(rule.Verbs, "impersonate") {
				t.Errorf("%s: %s can become more than it is: %v", name, o.id(), rule)
			}
		}
	}
	cases := []struct {
		name, in string
		rule     rbacv1.PolicyRule
	}{
		{"read Secrets beside the package", "tap-install", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}}},
		{"change another installation's record", "tap-install", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{"cnrs.app"}, Verbs: []string{"update"}}},
		{"change other Secrets", namespace, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{"lsp-push-credentials"}, Verbs: []string{"update"}}},
		{"read Secrets to export", "developer-secrets", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}}},
		{"write licenses", namespace, rbacv1.PolicyRule{APIGroups: []string{"imageproxy.apps.tanzu.vmware.com"}, Resources: []string{"licenses"}, Verbs: []string{"update"}}},
		{"create APIs of the cluster", namespace, rbacv1.PolicyRule{APIGroups: []string{"apiregistration.k8s.io"}, Resources: []string{"apiservices"}, Verbs: []string{"create"}}},
		{"run commands in pods", namespace, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods/exec"}, Verbs: []string{"create"}}},
	}
	for _, c := range cases {
		if covered, _ := validation.Covers(rulesIn(t, all, c.in), []rbacv1.PolicyRule{c.rule}); covered {
			t.Errorf("%s: the installer may %s", name, c.name)
		}
	}
}
