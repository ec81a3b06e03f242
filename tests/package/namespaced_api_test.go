// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/component-helpers/auth/rbac/validation"
)

const (
	apiGroup    = "localsource.apps.tanzu.vmware.com"
	apiService  = "v1alpha1." + apiGroup
	imagesAlone = "service_proxy: {enabled: false}, image_proxy: {enabled: true, external_url: https://images.example.com}"
)

// TestPushesHaveTheirWaysIn: every combination of them opens what it says, and nothing else.
func TestPushesHaveTheirWaysIn(t *testing.T) {
	type ways struct {
		Addresses, Ports, Services, Empty []string
		Replicas                          int32
	}
	const listen, off, api = "--listen-address=:5002", "--listen-address=", "--api-address=:5004"
	const service, apiOf = "local-source-proxy:5001>http", "local-source-proxy-api:443>api"
	keys := []string{"local-source-proxy-session-key"}
	both := append(slices.Clone(keys), "local-source-proxy-api-certificate")
	templates := productTemplates(t)
	for _, c := range []struct {
		values string
		want   ways
	}{
		{"{}", ways{[]string{listen}, []string{"http=5002", "admin=8081"}, []string{service}, keys, 1}},
		{"{service_proxy: {enabled: true}}", ways{[]string{listen}, []string{"http=5002", "admin=8081"}, []string{service}, keys, 1}},
		{"{namespaced_api: {enabled: false, tenancy: tags}}", ways{[]string{listen}, []string{"http=5002", "admin=8081"}, []string{service}, keys, 1}},
		{"{namespaced_api: {enabled: true}}", ways{[]string{listen, api}, []string{"http=5002", "api=5004", "admin=8081"}, []string{apiOf, service}, both, 2}},
		{
			"{namespaced_api: {enabled: true, tenancy: tags, metrics_by_namespace: true}}",
			ways{[]string{listen, api, "--api-metrics-by-namespace"}, []string{"http=5002", "api=5004", "admin=8081"}, []string{apiOf, service}, both, 2},
		},
		{
			"{namespaced_api: {enabled: true}, service_proxy: {enabled: false}}",
			ways{[]string{off, api}, []string{"api=5004", "admin=8081"}, []string{apiOf}, both, 2},
		},
		{"{namespaced_api: {enabled: true}, proxy_configuration: {replicas: 1}}", ways{[]string{listen, api}, []string{"http=5002", "api=5004", "admin=8081"}, []string{apiOf, service}, both, 1}},
		{"{namespaced_api: {enabled: true}, proxy_configuration: {replicas: 5}}", ways{[]string{listen, api}, []string{"http=5002", "api=5004", "admin=8081"}, []string{apiOf, service}, both, 5}},
		{"{namespaced_api: {enabled: true}, proxy_configuration: {replicas: null}}", ways{[]string{listen, api}, []string{"http=5002", "api=5004", "admin=8081"}, []string{apiOf, service}, both, 2}},
	} {
		all := mustRender(t, templates, c.values)
		d := deployment(t, all)
		got := ways{Replicas: *d.Spec.Replicas}
		container := d.Spec.Template.Spec.Containers[0]
		for _, argument := range container.Args {
			if strings.HasPrefix(argument, "--listen") || strings.HasPrefix(argument, "--api") {
				got.Addresses = append(got.Addresses, argument)
			}
		}
		for _, port := range container.Ports {
			got.Ports = append(got.Ports, fmt.Sprintf("%s=%d", port.Name, port.ContainerPort))
		}
		for _, o := range all {
			switch o.text("kind") {
			case "Service":
				s := decode[corev1.Service](t, o)
				got.Services = append(got.Services, fmt.Sprintf("%s:%d>%s", s.Name, s.Spec.Ports[0].Port, s.Spec.Ports[0].TargetPort.String()))
				if diff := cmp.Diff(d.Spec.Template.Labels, s.Spec.Selector); diff != "" {
					t.Errorf("%s: %s selects other pods (-labels +selector):\n%s", c.values, s.Name, diff)
				}
			case "Secret":
				if o["data"] == nil && o["stringData"] == nil {
					got.Empty = append(got.Empty, o.text("metadata", "name"))
				}
			}
		}
		slices.Sort(got.Services)
		slices.Sort(c.want.Services)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.values, diff)
		}
		checkAvailability(t, c.values, all, d)
	}
}

// checkAvailability: from two replicas on they are spread, and protected by a budget.
func checkAvailability(t *testing.T, values string, all []object, d appsv1.Deployment) {
	t.Helper()
	several := *d.Spec.Replicas > 1
	if spread := len(d.Spec.Template.Spec.TopologySpreadConstraints) == 2; spread != several {
		t.Errorf("%s: %d pods, spread: %v", values, *d.Spec.Replicas, spread)
	}
	if budget := slices.Contains(ids(all), namespace+"/PodDisruptionBudget/local-source-proxy"); budget != several {
		t.Errorf("%s: %d pods, with a budget: %v", values, *d.Spec.Replicas, budget)
	}
}

// TestNothingOfASourceProxyThatIsOff is there, where the image proxy alone is on: no pod, no account, no credential.
func TestNothingOfASourceProxyThatIsOff(t *testing.T) {
	all := mustRender(t, productTemplates(t), "{push_secret: {name: push, namespace: tap-install}, "+imagesAlone+"}")
	for _, id := range ids(all) {
		for _, word := range []string{"proxy-manager", "push", "local-source-proxy-values", "session-key", "certificate", "Deployment/local-source-proxy", "Service/local-source-proxy"} {
			if strings.Contains(id, word) {
				t.Errorf("%s is rendered", id)
			}
		}
	}
	find(t, all, namespace+"/Deployment/image-proxy")
}

// TestAPIServiceIsTheServers: it leads to the Service, and has no caBundle, which the server writes.
func TestAPIServiceIsTheServers(t *testing.T) {
	all := mustRender(t, productTemplates(t), "namespaced_api: {enabled: true}")
	want := map[string]any{
		"group": apiGroup, "version": "v1alpha1", "groupPriorityMinimum": float64(1000), "versionPriority": float64(15),
		"service": map[string]any{"name": "local-source-proxy-api", "namespace": namespace, "port": float64(443)},
	}
	if diff := cmp.Diff(want, find(t, all, "/APIService/"+apiService).at("spec")); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	find(t, all, namespace+"/Service/local-source-proxy-api")
}

// TestNothingOutsideOfTheNamespace unless it is asked for, or when somebody else brings it.
func TestNothingOutsideOfTheNamespace(t *testing.T) {
	templates := productTemplates(t)
	for values, want := range map[string]int{
		"{}": 0, "{service_proxy: {enabled: true}, allow_delete: true}": 0,
		"{namespaced_api: {enabled: true}}":                                  5,
		"{namespaced_api: {enabled: true, create_cluster_resources: false}}": 0,
	} {
		var outside []string
		for _, o := range mustRender(t, templates, "{create_namespace: false, "+values[1:]) {
			if o.text("metadata", "namespace") != namespace {
				outside = append(outside, o.id())
			}
		}
		if len(outside) != want {
			t.Errorf("%s: outside of the namespace are %v", values, outside)
		}
	}
}

// TestWhoMayPushForANamespace: whoever may edit it, by the labels that Kubernetes collects for its own roles.
func TestWhoMayPushForANamespace(t *testing.T) {
	templates := productTemplates(t)
	for _, values := range []string{"namespaced_api: {enabled: true}", "{namespaced_api: {enabled: true}, allow_delete: true}"} {
		role := decode[rbacv1.ClusterRole](t, find(t, mustRender(t, templates, values), "/ClusterRole/local-source-proxy-push"))
		for _, to := range []string{"edit", "admin"} {
			if role.Labels["rbac.authorization.k8s.io/aggregate-to-"+to] != "true" {
				t.Errorf("it is not part of %s: %v", to, role.Labels)
			}
		}
		if role.Labels["rbac.authorization.k8s.io/aggregate-to-view"] != "" {
			t.Error("whoever may look may push")
		}
		want := []rbacv1.PolicyRule{{APIGroups: []string{apiGroup}, Resources: []string{"sources/proxy"}, Verbs: []string{"create", "get", "update", "patch"}}}
		if diff := cmp.Diff(want, role.Rules); diff != "" {
			t.Errorf("%s: rules (-want +got):\n%s", values, diff)
		}
	}
}

// clusterRulesOf are those of the ClusterRoles that are bound to a ServiceAccount on the whole cluster.
func clusterRulesOf(t *testing.T, all []object, account string) []rbacv1.PolicyRule {
	t.Helper()
	var rules []rbacv1.PolicyRule
	for _, o := range all {
		if o.text("kind") != "ClusterRoleBinding" {
			continue
		}
		binding := decode[rbacv1.ClusterRoleBinding](t, o)
		if !slices.Contains(binding.Subjects, rbacv1.Subject{Kind: "ServiceAccount", Name: account, Namespace: namespace}) {
			t.Errorf("%s is for %v", o.id(), binding.Subjects)
			continue
		}
		rules = append(rules, decode[rbacv1.ClusterRole](t, find(t, all, "/ClusterRole/"+binding.RoleRef.Name)).Rules...)
	}
	return rules
}

// TestTheServerMayKeepItsCertificate and no other, by Kubernetes' own RBAC code: it writes one Secret and one
// APIService, and can delete neither.
func TestTheServerMayKeepItsCertificate(t *testing.T) {
	all := mustRender(t, productTemplates(t), "{push_secret: {name: push, namespace: tap-install}, namespaced_api: {enabled: true}}")
	inNamespace := rulesOf(t, all, "proxy-manager")
	onCluster := clusterRulesOf(t, all, "proxy-manager")
	may := func(rules []rbacv1.PolicyRule, group, resource, name string, verbs ...string) bool {
		rule := rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: verbs}
		if name != "" {
			rule.ResourceNames = []string{name}
		}
		covered, _ := validation.Covers(rules, []rbacv1.PolicyRule{rule})
		return covered
	}
	const certificate = "local-source-proxy-api-certificate"
	if !may(inNamespace, "", "secrets", certificate, "get", "list", "watch", "create", "update", "patch") {
		t.Errorf("it cannot keep its certificate: %v", inNamespace)
	}
	if !may(onCluster, "apiregistration.k8s.io", "apiservices", apiService, "get", "list", "watch", "update", "patch") {
		t.Errorf("it cannot write its caBundle: %v", onCluster)
	}
	for _, verb := range []string{"delete", "deletecollection", "create", "update", "patch"} {
		for _, name := range []string{"", "push", "local-source-proxy-values", "mirror-credentials", certificate} {
			if allowed := name == certificate && !strings.HasPrefix(verb, "delete"); may(inNamespace, "", "secrets", name, verb) != allowed {
				t.Errorf("Secret %q: may %s: %v", name, verb, !allowed)
			}
		}
		for _, name := range []string{"", "v1.apps", "v1beta1.metrics.k8s.io", apiService} {
			if allowed := name == apiService && (verb == "update" || verb == "patch"); may(onCluster, "apiregistration.k8s.io", "apiservices", name, verb) != allowed {
				t.Errorf("APIService %q: may %s: %v", name, verb, !allowed)
			}
		}
	}
	for _, verb := range []string{"get", "list", "watch"} {
		if may(onCluster, "", "secrets", "", verb) || may(onCluster, "apiregistration.k8s.io", "apiservices", "", verb) {
			t.Errorf("it may %s all", verb)
		}
	}
}
