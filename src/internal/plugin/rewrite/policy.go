// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	admission "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/kustomize/kyaml/resid"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
)

const (
	policyKind    = "MutatingAdmissionPolicy"
	policyFile    = "admission-policy.yaml"
	policyPurpose = "By it the API server renames images of new Pods. It needs Kubernetes 1.36."
)

// policyNamespaces are those whose Pods the policy is for: where the pull Secret is.
func (p *Plan) policyNamespaces() []string {
	return slices.DeleteFunc(p.Namespaces(), func(namespace string) bool { return namespace == "" })
}

// policyName tells installations of one application apart: a policy is the whole cluster's, and the same
// application may be in several namespaces of it. Neither a slug nor a namespace has a dot.
func (p *Plan) policyName() string {
	return p.Proxy.App + "-images." + p.policyNamespaces()[0]
}

// policy is the admission policy and its binding. It is nothing when it is not wanted, or no image goes
// through the proxy.
func (p *Plan) policy() ([]byte, error) {
	if !p.AdmissionPolicy || !p.usesProxy() {
		return nil, nil
	}
	if slices.Contains(p.Namespaces(), "") {
		return nil, errors.New("the admission policy needs the names of its namespaces: say --namespace")
	}
	expressions, err := p.expressions()
	if err != nil {
		return nil, err
	}
	// A Pod that cannot be renamed could not be pulled either: the one who makes it shall learn why.
	fail := admission.Fail
	// Without a scope the API server adds one, and kubectl would find a difference at each apply.
	scope := admission.NamespacedScope
	api := metav1.TypeMeta{APIVersion: admission.SchemeGroupVersion.String(), Kind: policyKind}
	policy := admission.MutatingAdmissionPolicy{
		TypeMeta: api, ObjectMeta: metav1.ObjectMeta{Name: p.policyName()},
		Spec: admission.MutatingAdmissionPolicySpec{
			FailurePolicy: &fail, ReinvocationPolicy: admission.IfNeededReinvocationPolicy,
			MatchConstraints: &admission.MatchResources{ResourceRules: []admission.NamedRuleWithOperations{{
				RuleWithOperations: admission.RuleWithOperations{
					Operations: []admission.OperationType{admission.Create, admission.Update},
					Rule: admission.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"},
						Resources: []string{"pods", "pods/ephemeralcontainers"}, Scope: &scope},
				},
			}}},
			MatchConditions: []admission.MatchCondition{{
				Name: "has-images-of-the-application", Expression: expressions.condition,
			}},
			Variables: expressions.variables,
			Mutations: []admission.Mutation{{
				PatchType: admission.PatchTypeJSONPatch, JSONPatch: &admission.JSONPatch{Expression: expressions.patch},
			}},
		},
	}
	api.Kind = policyKind + "Binding"
	binding := admission.MutatingAdmissionPolicyBinding{
		TypeMeta: api, ObjectMeta: metav1.ObjectMeta{Name: policy.Name},
		Spec: admission.MutatingAdmissionPolicyBindingSpec{
			PolicyName: policy.Name,
			MatchResources: &admission.MatchResources{NamespaceSelector: &metav1.LabelSelector{
				MatchExpressions: []metav1.LabelSelectorRequirement{{
					Key: "kubernetes.io/metadata.name", Operator: metav1.LabelSelectorOpIn, Values: p.policyNamespaces(),
				}},
			}},
		},
	}
	return documents([]any{policy, binding})
}

// usesProxy reports whether any image of the base wants the license.
func (p *Plan) usesProxy() bool {
	return len(p.renamed()) > 0 || slices.ContainsFunc(p.Base.Images, p.licensed)
}

// verifyPolicy finds what the user's own settings in the midstream, such as a namePrefix, made of the policy:
// names inside of it do not follow.
func (p *Plan) verifyPolicy(objects []*kyaml.RNode) error {
	if !p.AdmissionPolicy || !p.usesProxy() {
		return nil
	}
	for _, object := range objects {
		gvk := resid.GvkFromNode(object)
		if gvk.Group == admission.GroupName && gvk.Kind == policyKind && object.GetName() != p.policyName() {
			return fmt.Errorf("midstream %s: the admission policy does not follow a namePrefix or nameSuffix of its "+
				"kustomization: take it out, or put it into the base", p.Dir)
		}
	}
	return nil
}

// stalePolicy is the name of a policy that was in the midstream and is not any more; empty: none. Where it
// was applied it stays in force.
func (p *Plan) stalePolicy() string {
	content, err := os.ReadFile(filepath.Join(p.Dir, policyFile))
	if err != nil || !bytes.HasPrefix(content, []byte(marker)) {
		return ""
	}
	var before struct{ Metadata struct{ Name string } }
	docs, err := parse(content)
	if err != nil || len(docs) == 0 || docs[0].Decode(&before) != nil {
		return ""
	}
	if p.AdmissionPolicy && p.usesProxy() && before.Metadata.Name == p.policyName() {
		return ""
	}
	return before.Metadata.Name
}
