// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/component-helpers/auth/rbac/validation"
)

// What the server of the image proxy is told, beside what it is always told.
func TestImageProxyIsToldItsValues(t *testing.T) {
	const tlsCert, tlsKey = "--image-proxy-tls-cert=/etc/image-proxy/tls/tls.crt", "--image-proxy-tls-key=/etc/image-proxy/tls/tls.key"
	cases := []struct {
		name, values string
		want         []string
	}{
		{"more pulls", "tls_secret: tls, concurrent_pulls: 256", []string{tlsCert, tlsKey}},
		{"a load balancer in front", "external_url: https://images.example.com", []string{"--image-proxy-external-url=https://images.example.com"}},
		{"plain text", "external_url: http://images.internal:30080", []string{"--image-proxy-external-url=http://images.internal:30080"}},
		{"names in front", "domains: [a.example.com, b.example.com]", []string{"--image-proxy-external-url=https://a.example.com,https://b.example.com"}},
		{"a port and names", "external_url: \"https://b.example.com:8443\", domains: [a.example.com, b.example.com]",
			[]string{"--image-proxy-external-url=https://b.example.com:8443,https://a.example.com,https://b.example.com"}},
		{"a name twice", "external_url: https://b.example.com, domains: [a.example.com, b.example.com]", []string{"--image-proxy-external-url=https://b.example.com,https://a.example.com"}},
		{"certificate", "tls_secret: tls", []string{tlsCert, tlsKey}},
		{"certificate of the Ingress", "tls_secret: tls, domains: [a.example.com], trusted_proxies: [10.0.0.0/8], ingress: {enabled: true}", []string{"--image-proxy-external-url=https://a.example.com", "--image-proxy-trusted-proxies=10.0.0.0/8"}},
		{"revoking ends downloads", "tls_secret: tls, terminate_on_revoke: true", []string{tlsCert, tlsKey, "--terminate-on-revoke"}},
		{"two proxies in front", "tls_secret: tls, trusted_proxies: [10.0.0.0/8, \"2001:db8::/64\"]", []string{tlsCert, tlsKey, "--image-proxy-trusted-proxies=10.0.0.0/8,2001:db8::/64"}},
	}
	templates := productTemplates(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			pulls := "--image-proxy-concurrent-pulls=32"
			if strings.Contains(c.values, "concurrent_pulls") {
				pulls = "--image-proxy-concurrent-pulls=256"
			}
			all := deployments(t, mustRender(t, templates, "image_proxy: {enabled: true, "+c.values+"}"))
			if len(all) != 2 {
				t.Fatalf("%d Deployments, want one for each side", len(all))
			}
			want := slices.Concat([]string{"serve", "--listen-address=", "--image-proxy-address=:5003", "--admin-address=:8081", "--namespace=$(POD_NAMESPACE)", pulls},
				c.want, []string{"--shutdown-timeout=300s"})
			if diff := cmp.Diff(want, all[1].Spec.Template.Spec.Containers[0].Args); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
		})
	}
}

// Customers find the image proxy where its certificate is.
func TestImageProxyPort(t *testing.T) {
	const ingress = "domains: [a.example.com], trusted_proxies: [10.0.0.0/8], ingress: {enabled: true}"
	templates := productTemplates(t)
	for values, want := range map[string]int32{"external_url: https://images.example.com": 80, "tls_secret: tls": 443, ingress: 80, "tls_secret: tls, " + ingress: 80} {
		all := mustRender(t, templates, "image_proxy: {enabled: true, "+values+"}")
		port := decode[corev1.Service](t, find(t, all, namespace+"/Service/image-proxy")).Spec.Ports[0]
		if port.Port != want || port.TargetPort.String() != "images" {
			t.Errorf("%q: port %d to %s, want %d", values, port.Port, port.TargetPort.String(), want)
		}
	}
	all := mustRender(t, templates, caseValues(t, "image-proxy-ingress"))
	spec := decode[networkingv1.Ingress](t, find(t, all, namespace+"/Ingress/image-proxy")).Spec
	domains := []string{"images.example.com", "images.example.org"}
	if diff := cmp.Diff([]networkingv1.IngressTLS{{Hosts: domains, SecretName: "images-tls"}}, spec.TLS); diff != "" {
		t.Errorf("TLS of the Ingress (-want +got):\n%s", diff)
	}
	for i, rule := range spec.Rules {
		if backend := rule.HTTP.Paths[0].Backend.Service; rule.Host != domains[i] || backend.Name != "image-proxy" || backend.Port.Name != "images" {
			t.Errorf("rule %d: host %s to %+v", i, rule.Host, backend)
		}
	}
}

// rulesOf are those of the Roles that are bound to a ServiceAccount of the package's namespace.
func rulesOf(t *testing.T, all []object, account string) []rbacv1.PolicyRule {
	t.Helper()
	var rules []rbacv1.PolicyRule
	for _, o := range all {
		if o.text("kind") != "RoleBinding" {
			continue
		}
		binding := decode[rbacv1.RoleBinding](t, o)
		if !slices.Contains(binding.Subjects, rbacv1.Subject{Kind: "ServiceAccount", Name: account, Namespace: namespace}) {
			continue
		}
		if binding.Namespace != namespace {
			continue // to a Role of Kubernetes' own
		}
		rules = append(rules, decode[rbacv1.Role](t, find(t, all, binding.Namespace+"/Role/"+binding.RoleRef.Name)).Rules...)
	}
	return rules
}

// The side that faces customers cannot get at what the other one pushes with, whatever the values are.
func TestImageProxyCannotReadWhatPushes(t *testing.T) {
	templates := productTemplates(t)
	for _, name := range []string{"image-proxy", "image-proxy-ingress"} {
		all := mustRender(t, templates, caseValues(t, name))
		rules := rulesOf(t, all, "image-proxy")
		may := func(group, resource, object string, verb string) bool {
			rule := rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: []string{verb}}
			if object != "" {
				rule.ResourceNames = []string{object}
			}
			covered, _ := validation.Covers(rules, []rbacv1.PolicyRule{rule})
			return covered
		}
		for _, secret := range []string{"lsp-push-credentials", "local-source-proxy-values", "local-source-proxy-session-key", "local-source-proxy-api-certificate", "mirror-credentials", "images-tls", ""} {
			for _, verb := range []string{"get", "list", "watch", "update", "patch", "delete", "deletecollection"} {
				if may("", "secrets", secret, verb) {
					t.Errorf("%s: may %s Secret %q", name, verb, secret)
				}
			}
		}
		for _, forbidden := range [][3]string{
			// One named like a Secret that it may read, of the type that asks for another account's token.
			{"", "secrets", "create"},
			{"", "pods", "create"}, {"", "pods/exec", "create"}, {"", "serviceaccounts/token", "create"}, {"", "services/proxy", "create"},
			{"apps", "deployments", "patch"}, {"rbac.authorization.k8s.io", "rolebindings", "create"},
			// A license is the vendor's to write.
			{"imageproxy.apps.tanzu.vmware.com", "licenses", "create"}, {"imageproxy.apps.tanzu.vmware.com", "licenses", "update"},
			{"imageproxy.apps.tanzu.vmware.com", "licenses", "patch"}, {"imageproxy.apps.tanzu.vmware.com", "licenses", "delete"},
			{"imageproxy.apps.tanzu.vmware.com", "externalregistries", "patch"},
		} {
			if may(forbidden[0], forbidden[1], "", forbidden[2]) {
				t.Errorf("%s: may %s %s", name, forbidden[2], forbidden[1])
			}
		}
		// The check itself must be able to say yes.
		if !may("", "secrets", "image-proxy-token-key", "watch") || !may("imageproxy.apps.tanzu.vmware.com", "licenses", "", "list") ||
			!may("imageproxy.apps.tanzu.vmware.com", "licenses/status", "", "update") {
			t.Errorf("%s: lacks what it needs: %v", name, rules)
		}
		for _, o := range all {
			if o.text("kind") == "ClusterRoleBinding" {
				t.Errorf("%s: %s reaches beyond the namespace", name, o.id())
			}
		}
	}
}

// Uninstalling takes the programs away, and leaves what the vendor wrote.
func TestLicensesOutliveThePackage(t *testing.T) {
	outlives := func(all []object) []string {
		var found []string
		for _, o := range all {
			switch o.text("metadata", "annotations", "kapp.k14s.io/delete-strategy") {
			case "":
			case "orphan":
				found = append(found, strings.TrimPrefix(o.id(), "/"))
			default:
				t.Errorf("%s: a strategy that kapp does not know", o.id())
			}
		}
		slices.Sort(found)
		return found
	}
	want := []string{
		"CustomResourceDefinition/externalregistries.imageproxy.apps.tanzu.vmware.com",
		"CustomResourceDefinition/licenses.imageproxy.apps.tanzu.vmware.com",
		"Namespace/tap-local-source-system",
	}
	product, profile := productTemplates(t), profileTemplates(t)
	for values, all := range map[string][]object{
		"package": mustRender(t, product, "image_proxy: {enabled: true, external_url: https://images.example.com}"),
		"profile": mustRender(t, profile, "local_source_proxy: {image_proxy: {enabled: true, external_url: https://images.example.com}}"),
	} {
		if diff := cmp.Diff(want, outlives(all)); diff != "" {
			t.Errorf("%s: what kapp leaves (-want +got):\n%s", values, diff)
		}
	}
	// Without licenses there is nothing to leave.
	for values, all := range map[string][]object{
		"package": mustRender(t, product, "{}"), "profile": mustRender(t, profile, "{}"),
	} {
		if left := outlives(all); len(left) > 0 {
			t.Errorf("%s: kapp leaves %v", values, left)
		}
	}
}
