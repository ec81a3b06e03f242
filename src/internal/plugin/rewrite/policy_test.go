// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admission "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/yaml"
)

const policyFile = "overlays/midstream/admission-policy.yaml"

// policySite has a base that goes through the proxy, and wants a policy.
func policySite(t *testing.T, base map[string]string) *site {
	t.Helper()
	s := newSite(t, base)
	s.plan.Namespace, s.plan.AdmissionPolicy = "shop", true
	return s
}

// policy reads what was written, as kustomize builds it.
func (s *site) policy() (policy admission.MutatingAdmissionPolicy, binding admission.MutatingAdmissionPolicyBinding) {
	s.Helper()
	for _, object := range s.build() {
		var into any
		switch object.GetKind() {
		case "MutatingAdmissionPolicy":
			into = &policy
		case "MutatingAdmissionPolicyBinding":
			into = &binding
		default:
			continue
		}
		if err := yaml.UnmarshalStrict([]byte(object.MustString()), into); err != nil {
			s.Fatal(err)
		}
	}
	return policy, binding
}

// TestPolicy: what surrounds the expressions. tests/rewrite has the API server evaluate those.
func TestPolicy(t *testing.T) {
	s := policySite(t, map[string]string{"pods.yaml": pod("p", "o/a:1"), "kots.yaml": `apiVersion: kots.io/v1beta1
kind: Application
metadata: {name: app}
spec: {additionalNamespaces: [workers, "*"]}
`})
	s.rewrite()
	policy, binding := s.policy()
	if policy.Name != "my-kots-app-images.shop" || binding.Name != policy.Name || binding.Spec.PolicyName != policy.Name {
		t.Errorf("names %q, %q, %q", policy.Name, binding.Name, binding.Spec.PolicyName)
	}
	if policy.Spec.FailurePolicy == nil || *policy.Spec.FailurePolicy != admission.Fail || policy.Spec.ReinvocationPolicy != admission.IfNeededReinvocationPolicy {
		t.Errorf("policies %v, %v", policy.Spec.FailurePolicy, policy.Spec.ReinvocationPolicy)
	}
	rules := policy.Spec.MatchConstraints.ResourceRules
	if len(rules) != 1 || strings.Join(rules[0].Resources, " ") != "pods pods/ephemeralcontainers" || fmt.Sprint(rules[0].Operations) != "[CREATE UPDATE]" || rules[0].Scope == nil {
		t.Errorf("rules %+v", rules)
	}
	selector := binding.Spec.MatchResources.NamespaceSelector.MatchExpressions
	if len(selector) != 1 || selector[0].Key != "kubernetes.io/metadata.name" || selector[0].Operator != "In" {
		t.Fatalf("namespaces by %+v", selector)
	}
	if diff := cmp.Diff([]string{"shop", "workers"}, selector[0].Values); diff != "" {
		t.Errorf("namespaces (-want +got):\n%s", diff)
	}
}

// TestPolicyNamespace: where the user's kustomization puts everything into one namespace, the policy is for
// that one. It has none itself, so it needs no -n.
func TestPolicyNamespace(t *testing.T) {
	s := policySite(t, map[string]string{"pods.yaml": strings.Replace(pod("p", "o/a:1"), "name: p", "name: p, namespace: shop", 1)})
	s.rewrite()
	if how := s.plan.Applying(); how.Unnamed || how.Several {
		t.Errorf("applied with %+v", how)
	}
	s.write("overlays/midstream/kustomization.yaml", "resources: [../../base]\nnamespace: store\n")
	s.rewrite()
	policy, binding := s.policy()
	values := binding.Spec.MatchResources.NamespaceSelector.MatchExpressions[0].Values
	if diff := cmp.Diff([]string{"store"}, values); diff != "" || policy.Name != "my-kots-app-images.store" {
		t.Errorf("the policy %s is for %v", policy.Name, values)
	}
}

// TestPolicyGoes: without the flag, or anything to rename, there is no policy, and the user learns of the one
// that he may have applied.
func TestPolicyGoes(t *testing.T) {
	left := "the policy my-kots-app-images.shop stays in force until it is deleted: kubectl delete mutatingadmissionpolicy,mutatingadmissionpolicybinding my-kots-app-images.shop"
	for name, change := range map[string]func(*site){
		"without the flag":     func(s *site) { s.plan.AdmissionPolicy = false },
		"nothing is private":   func(s *site) { s.public = []string{"o/a:1"} },
		"in another namespace": func(s *site) { s.plan.Namespace = "store" },
	} {
		t.Run(name, func(t *testing.T) {
			s := policySite(t, map[string]string{"pods.yaml": pod("p", "o/a:1")})
			s.rewrite()
			if warnings := strings.Join(s.plan.Warnings(), "\n"); strings.Contains(warnings, "policy") {
				t.Errorf("warnings:\n%s", warnings)
			}
			change(s)
			s.reload()
			if warnings := strings.Join(s.plan.Warnings(), "\n"); !strings.Contains(warnings, left) {
				t.Errorf("warnings:\n%s", warnings)
			}
			s.rewrite()
			if warnings := strings.Join(s.plan.Warnings(), "\n"); strings.Contains(warnings, "policy") {
				t.Errorf("warnings after that:\n%s", warnings)
			}
			_, err := os.Stat(filepath.Join(s.root, policyFile))
			if kept := name == "in another namespace"; kept != (err == nil) || kept != strings.Contains(s.kustomization(), "admission-policy.yaml") {
				t.Errorf("file: %v, kustomization:\n%s", err, s.kustomization())
			}
		})
	}
}

// reload reads the base and asks, and writes nothing.
func (s *site) reload() {
	s.Helper()
	before := s.tree()
	dir := s.plan.Dir
	s.plan.Dir = filepath.Join(s.root, "unused")
	if _, err := s.tryRewrite(); err != nil {
		s.Fatal(err)
	}
	if err := os.RemoveAll(s.plan.Dir); err != nil {
		s.Fatal(err)
	}
	s.plan.Dir = dir
	if diff := cmp.Diff(before, s.tree()); diff != "" {
		s.Fatal(diff)
	}
}

// TestPolicyRefuses: one clear line, and nothing is written.
func TestPolicyRefuses(t *testing.T) {
	var many strings.Builder
	for i := range 1000 {
		many.WriteString(pod(fmt.Sprint("p", i), fmt.Sprintf("quay.io/%s/%d:1", strings.Repeat("a", 100), i)))
	}
	for name, tt := range map[string]struct {
		base, midstream, namespace, want string
	}{
		"no namespace":              {pod("p", "o/a:1"), "", "", "the admission policy needs the names of its namespaces: say --namespace"},
		"a prefix":                  {pod("p", "o/a:1"), "namePrefix: x-\n", "shop", "does not follow a namePrefix"},
		"more names than CEL takes": {many.String(), "", "shop", "the names of 1000 private repositories are too long for an admission policy"},
	} {
		t.Run(name, func(t *testing.T) {
			s := policySite(t, map[string]string{"pods.yaml": tt.base})
			s.plan.Namespace = tt.namespace
			if tt.midstream != "" {
				s.write("overlays/midstream/kustomization.yaml", "resources: [../../base]\n"+tt.midstream)
			}
			before := s.tree()
			if _, err := s.tryRewrite(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
			if diff := cmp.Diff(before, s.tree()); diff != "" {
				t.Errorf("something was written:\n%s", diff)
			}
		})
	}
	s := policySite(t, map[string]string{"pods.yaml": pod("p", "o/a:1")})
	s.write(policyFile, "kind: MutatingAdmissionPolicy\n")
	if _, err := s.tryRewrite(); err == nil || !strings.Contains(err.Error(), "admission-policy.yaml is not from kubectl lsp rewrite") {
		t.Errorf("a file of somebody else: %v", err)
	}
}
