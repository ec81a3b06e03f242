// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
)

// TestNetworkPolicyClosesWhatIsAsked: each direction by itself, for each side that is open, and nothing where
// nothing is asked.
func TestNetworkPolicyClosesWhatIsAsked(t *testing.T) {
	const ingress, egress = "enabled: true, ingress_cidrs: [192.0.2.1/32]", "egress: {enabled: true, cidrs: [203.0.113.0/24]}"
	for _, c := range []struct {
		name, values string
		policies     int
		types        []networkingv1.PolicyType
	}{
		{"nothing", "{}", 0, nil},
		{"ingress", "network_policy: {" + ingress + "}", 1, []networkingv1.PolicyType{"Ingress"}},
		{"egress", "network_policy: {" + egress + "}", 1, []networkingv1.PolicyType{"Egress"}},
		{"both", "network_policy: {" + ingress + ", " + egress + "}", 1, []networkingv1.PolicyType{"Ingress", "Egress"}},
		{"egress of both sides", "{network_policy: {" + egress + "}, image_proxy: {enabled: true, external_url: https://images.example.com}}", 2, []networkingv1.PolicyType{"Egress"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := 0
			for _, o := range mustRender(t, productTemplates(t), c.values) {
				if o.text("kind") != "NetworkPolicy" {
					continue
				}
				found++
				policy := decode[networkingv1.NetworkPolicy](t, o)
				if diff := cmp.Diff(c.types, policy.Spec.PolicyTypes); diff != "" {
					t.Errorf("%s closes (-want +got):\n%s", policy.Name, diff)
				}
				if open := len(policy.Spec.Egress) > 0; open != (c.types[len(c.types)-1] == "Egress") {
					t.Errorf("%s: egress rules %+v", policy.Name, policy.Spec.Egress)
				}
			}
			if found != c.policies {
				t.Errorf("%d policies, want %d", found, c.policies)
			}
		})
	}
}

// TestEgressIsWhatWasListed, with its exceptions where they are some, and names.
func TestEgressIsWhatWasListed(t *testing.T) {
	all := mustRender(t, productTemplates(t), caseValues(t, "everything"))
	policy := decode[networkingv1.NetworkPolicy](t, find(t, all, namespace+"/NetworkPolicy/local-source-proxy"))
	var blocks []networkingv1.IPBlock
	for _, rule := range policy.Spec.Egress {
		for _, port := range rule.Ports {
			if len(rule.To) == 0 && (port.Port == nil || port.Port.IntValue() != 53) {
				t.Errorf("a port is open to everything: %+v", port)
			}
		}
		for _, to := range rule.To {
			blocks = append(blocks, *to.IPBlock)
		}
	}
	want := []networkingv1.IPBlock{
		{CIDR: "0.0.0.0/0", Except: []string{"169.254.0.0/16", "10.0.0.0/8"}}, {CIDR: "2001:db8::/32"}, {CIDR: "::/0", Except: []string{"fe80::/10"}},
	}
	if diff := cmp.Diff(want, blocks); diff != "" {
		t.Errorf("egress (-want +got):\n%s", diff)
	}
}
