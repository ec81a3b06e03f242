// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"cmp"
	"fmt"
	"slices"

	"sigs.k8s.io/kustomize/kyaml/resid"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// ServiceAccount has pull Secrets of its own. Kubernetes hands them to Pods that name none themselves: once a
// Pod names the license's Secret, it has to name those as well
// (https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/).
type ServiceAccount struct {
	Namespace, Name string
	PullSecrets     []string
}

// CollectServiceAccounts returns those with pull Secrets.
func CollectServiceAccounts(objects []*yaml.RNode) ([]ServiceAccount, error) {
	var all []ServiceAccount
	for _, object := range objects {
		if group(object) != "" || object.GetKind() != "ServiceAccount" {
			continue
		}
		account := ServiceAccount{Namespace: object.GetNamespace(), Name: object.GetName()}
		if err := values(object, &account.PullSecrets, "imagePullSecrets", "name"); err != nil {
			return nil, fmt.Errorf("%s: %w", describe(object.GetKind(), account.Namespace, account.Name), err)
		}
		if account.PullSecrets != nil {
			all = append(all, account)
		}
	}
	return all, nil
}

// readServiceAccount returns the one that a PodSpec names: in serviceAccountName, or in its old spelling.
func readServiceAccount(spec *yaml.RNode) string {
	if spec.IsNilOrEmpty() || spec.YNode().Kind != yaml.MappingNode {
		return ""
	}
	return cmp.Or(text(spec.YNode(), "serviceAccountName"), text(spec.YNode(), "serviceAccount"))
}

// pullSecrets are the names that a Pod has to be given: the license's Secret, and those that its
// ServiceAccount would have handed to it.
func (p *Plan) pullSecrets(pod Pod) []string {
	names := []string{p.secretName()}
	if len(pod.PullSecrets) > 0 {
		return names
	}
	for _, account := range p.Base.ServiceAccounts {
		if account.Name == cmp.Or(pod.ServiceAccount, "default") && p.together(account.Namespace, pod.Namespace) {
			for _, name := range account.PullSecrets {
				add(&names, name)
			}
		}
	}
	return names
}

// together reports whether two objects are in one namespace. Without --namespace, what has none goes to
// wherever the user applies it: as for kustomize, "default" is as good a guess as any.
func (p *Plan) together(a, b string) bool {
	if p.settled != "" {
		return true
	}
	unnamed := cmp.Or(p.Namespace, resid.DefaultNamespace)
	return cmp.Or(a, unnamed) == cmp.Or(b, unnamed)
}

// missing are those of names that a list does not have.
func missing(names, from []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(from, name) })
}
