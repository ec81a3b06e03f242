// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/rewrite"
)

// TestLeftovers: an old name that stands in a way of its own, and a part of one, is told.
func TestLeftovers(t *testing.T) {
	for value, want := range map[string]string{
		"oci://quay.io/o/operator":   "Broker b: spec.x still has the name quay.io/o/operator; --image-field Broker:spec.x renames it",
		"a:quay.io/o/operator":       "still has the name quay.io/o/operator",
		"quay.io/o/operator":         "still has the name quay.io/o/operator",
		"quay.io/o":                  "Broker b: spec.x has a part of the name quay.io/o/operator; an overlay of yours can change it",
		"--registry=quay.io/o/":      "has a part of the name quay.io/o/operator",
		"quay.io":                    "has a part of the name quay.io/o/operator",
		"https://quay.io/o/operator": "", "quay.io/o/operator-x": "", "quay.io/o/operator/x": "", "xquay.io/o/operator": "", "quay": "",
	} {
		s := newSite(t, operator("apiVersion: example.com/v1\nkind: Broker\nmetadata: {name: b}\nspec: {x: '"+value+"'}\n"))
		s.rewrite()
		warnings := strings.Join(s.plan.Warnings(), "\n")
		if want != "" && !strings.Contains(warnings, want) || want == "" && warnings != "" {
			t.Errorf("%s: warnings\n%s\nwant %s", value, warnings, want)
		}
		s.options = rewrite.FieldOptions{Keep: selector(t, "Broker:spec.x")}
		s.rewrite()
		if warnings := s.plan.Warnings(); warnings != nil {
			t.Errorf("%s: warnings with --keep-field: %q", value, warnings)
		}
	}
}

// TestLeftoverOfGenerated: what is left in a generated ConfigMap is told, whatever its new name is.
func TestLeftoverOfGenerated(t *testing.T) {
	s := newSite(t, map[string]string{
		"kustomization.yaml": "resources: [pod.yaml]\nconfigMapGenerator: [{name: c, literals: ['image=quay.io/o/p:1', 'x=a:quay.io/o/p']}]\n",
		"pod.yaml":           pod("p", "quay.io/o/p:1"),
	})
	s.rewrite()
	if warnings := strings.Join(s.plan.Warnings(), "\n"); !strings.Contains(warnings, ": data.x still has the name quay.io/o/p; ") {
		t.Errorf("warnings\n%s", warnings)
	}
}
