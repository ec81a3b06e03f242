// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/mattfenwick/cyclonus/pkg/matcher"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// place is where a connection comes from, or goes to: an address, and a pod's labels where it is one.
func place(address, namespace string, labels map[string]string) *matcher.TrafficPeer {
	peer := &matcher.TrafficPeer{IP: address}
	if namespace != "" {
		peer.Internal = &matcher.InternalPeer{
			Namespace: namespace, NamespaceLabels: map[string]string{"kubernetes.io/metadata.name": namespace}, PodLabels: labels,
		}
	}
	return peer
}

// peers are those whom the cases below let in or not.
func peers() map[string]*matcher.TrafficPeer {
	prometheus := map[string]string{"app.kubernetes.io/name": "prometheus"}
	return map[string]*matcher.TrafficPeer{
		"API server":         place("192.0.2.10", "", nil),
		"beside API server":  place("192.0.2.11", "", nil),
		"API server by IPv6": place("2001:db8::7", "", nil),
		"node":               place("198.51.100.20", "", nil),
		"customer":           place("203.0.113.9", "", nil),
		"prometheus":         place("10.244.0.9", "monitoring", prometheus),
		"grafana":            place("10.244.0.10", "monitoring", map[string]string{"app.kubernetes.io/name": "grafana"}),
		"tenant":             place("10.244.0.11", "team-a", nil),
		"tenant in disguise": place("10.244.0.12", "team-a", prometheus),
		"neighbour":          place("10.244.0.13", namespace, prometheus),
	}
}

// reachable are the peers that reach a port of a side's pods, by what an evaluator of others makes of the
// policies. That a pod's own node is always let in is not part of policies, and cannot be told here.
func reachable(t *testing.T, all []object, side, port string) []string {
	t.Helper()
	var policies []*networkingv1.NetworkPolicy
	for _, o := range all {
		if o.text("kind") == "NetworkPolicy" {
			policy := decode[networkingv1.NetworkPolicy](t, o)
			policies = append(policies, &policy)
		}
	}
	evaluator := matcher.BuildNetworkPolicies(false, policies)
	pod := decode[corev1.PodTemplateSpec](t, find(t, all, namespace+"/Deployment/"+side).at("spec", "template"))
	number := 0
	for _, each := range pod.Spec.Containers[0].Ports {
		if each.Name == port {
			number = int(each.ContainerPort)
		}
	}
	if number == 0 {
		return nil
	}
	var let []string
	for name, peer := range peers() {
		if evaluator.IsIngressOrEgressAllowed(&matcher.Traffic{
			Source: peer, Destination: place("10.244.1.1", namespace, pod.Labels), ResolvedPort: number, ResolvedPortName: port, Protocol: corev1.ProtocolTCP,
		}, true).IsAllowed() {
			let = append(let, name)
		}
	}
	slices.Sort(let)
	return let
}

// TestWhoReachesThePods by what each port is for. The admin port has the names of customers.
func TestWhoReachesThePods(t *testing.T) {
	const policy = "enabled: true, ingress_cidrs: [192.0.2.10/32, \"2001:db8::/64\"]"
	const images = ", image_proxy: {enabled: true, external_url: https://images.example.com}}"
	const api, alone = ", namespaced_api: {enabled: true}" + images, ", service_proxy: {enabled: false}, namespaced_api: {enabled: true}" + images
	everybody := []string{}
	for name := range peers() {
		everybody = append(everybody, name)
	}
	slices.Sort(everybody)
	server := []string{"API server", "API server by IPv6"}
	for _, c := range []struct {
		name, values               string
		pushes, api, pulls, admins []string
	}{
		{"by default", "{repository: registry.example.com/a" + images, everybody, nil, everybody, everybody},
		{"egress alone", "{network_policy: {egress: {enabled: true, cidrs: [0.0.0.0/0]}}" + images, everybody, nil, everybody, everybody},
		{"closed", "{network_policy: {" + policy + "}" + images, server, nil, everybody, nil},
		{"closed, both directions", "{network_policy: {" + policy + ", egress: {enabled: true, cidrs: [0.0.0.0/0]}}" + images, server, nil, everybody, nil},
		{"a namespace scrapes", "{network_policy: {" + policy + "}, monitoring: {scrape_from: {namespace: monitoring}}" + images,
			server, nil, everybody, []string{"grafana", "prometheus"}},
		{"pods scrape", "{network_policy: {" + policy + "}, monitoring: {scrape_from: {namespace: monitoring, pod_labels: {app.kubernetes.io/name: prometheus}}}" + images,
			server, nil, everybody, []string{"prometheus"}},
		{"nodes, on a network that filters probes", "{network_policy: {" + policy + ", admin_cidrs: [198.51.100.0/24]}" + images, server, nil, everybody, []string{"node"}},
		{"nodes and pods", "{network_policy: {" + policy + ", admin_cidrs: [198.51.100.0/24]}, monitoring: {scrape_from: {namespace: monitoring, pod_labels: {app.kubernetes.io/name: prometheus}}}" + images,
			server, nil, everybody, []string{"node", "prometheus"}},
		{"the API, by default", "{repository: registry.example.com/a" + api, everybody, everybody, everybody, everybody},
		{"the API, closed: it asks for a certificate", "{network_policy: {" + policy + "}" + api, server, everybody, everybody, nil},
		{"the API alone", "{repository: registry.example.com/a" + alone, nil, everybody, everybody, everybody},
		{"the API alone, closed", "{network_policy: {enabled: true}" + alone, nil, everybody, everybody, nil},
		{"the API alone, closed with addresses", "{network_policy: {" + policy + ", admin_cidrs: [198.51.100.0/24]}" + alone, nil, everybody, everybody, []string{"node"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := mustRender(t, productTemplates(t), c.values)
			for _, port := range []struct {
				side, port string
				want       []string
			}{
				{"local-source-proxy", "http", c.pushes}, {"local-source-proxy", "api", c.api}, {"image-proxy", "images", c.pulls}, {"local-source-proxy", "admin", c.admins}, {"image-proxy", "admin", c.admins},
			} {
				if got := reachable(t, all, port.side, port.port); !slices.Equal(got, port.want) {
					t.Errorf("%s, port %s: reached by %v, want %v", port.side, port.port, got, port.want)
				}
			}
		})
	}
}

// TestRenderingSaysWhatIsOpen on standard error, and nothing once it is closed.
func TestRenderingSaysWhatIsOpen(t *testing.T) {
	const (
		push   = "note: network_policy.enabled is false: whatever reaches the pods in the cluster can push"
		read   = "note: network_policy.enabled is false: whatever reaches the pods in the cluster can read their metrics"
		around = "note: service_proxy.enabled is true: whoever may use it can overwrite what namespaces push, because "
		egress = "note: network_policy.egress.enabled is false"
		pull   = "note: pull_secret.to_namespaces is [\"*\"]: "
		secret = "pull_secret: {name: a, namespace: b, create_export: true"
	)
	templates := productTemplates(t)
	for values, want := range map[string][]string{
		"{}":                    {push, egress, pull + "with create_export, everybody"},
		"{" + secret + "}}":     {push, egress, pull + "everybody"},
		caseValues(t, "shared"): {push, egress, pull},
		"image_proxy: {enabled: true, external_url: https://a.example.com}": {push, "which have the names of customers", egress, pull},
		"{" + secret + ", to_namespaces: [team-a]}}":                        {push, egress},
		caseValues(t, "image-proxy"):                                        {egress, pull},
		caseValues(t, "everything"):                                         nil,
		// The service proxy goes around what keeps namespaces apart.
		"namespaced_api: {enabled: true}":                                                                  {push, egress, pull},
		"{namespaced_api: {enabled: true, tenancy: tags}}":                                                 {push, around + "all tags", egress, pull},
		"{namespaced_api: {enabled: true}, allow_sub_repositories: true}":                                  {push, around + "allow_sub_repositories", egress, pull},
		"{namespaced_api: {enabled: true, tenancy: tags}, service_proxy: {enabled: false}}":                {read, egress, pull},
		"{allow_sub_repositories: true, namespaced_api: {enabled: true}, service_proxy: {enabled: false}}": {read, egress, pull},
		caseValues(t, "namespaced-api-alone"):                                                              {egress, pull},
	} {
		result := render(t, templates, values)
		if result.err != nil {
			t.Fatal(result.stderr)
		}
		for _, note := range want {
			if !strings.Contains(result.stderr, note) {
				t.Errorf("%s: it does not say %q:\n%s", values, note, result.stderr)
			}
		}
		lines := strings.Count(result.stderr, "note: ")
		if said := strings.Contains(strings.Join(want, ""), "customers"); said {
			lines++ // of one of them, two things are looked for
		}
		if lines != len(want) || strings.Contains(result.stdout, "note: ") {
			t.Errorf("%s: it says\n%s", values, result.stderr)
		}
	}
}
