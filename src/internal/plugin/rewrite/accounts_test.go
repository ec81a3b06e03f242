// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/rewrite"
)

func account(name, namespace string, secrets ...string) string {
	text := "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: " + name + ", namespace: " + namespace + "}\nimagePullSecrets: ["
	for _, secret := range secrets {
		text += "{name: " + secret + "}, "
	}
	return strings.TrimSuffix(text, ", ") + "]\n---\n"
}

func inNamespace(object, namespace string) string {
	return strings.Replace(object, "metadata: {", "metadata: {namespace: "+namespace+", ", 1)
}

func withSpec(pod, fields string) string {
	return strings.Replace(pod, "spec: {", "spec: {"+fields+", ", 1)
}

// admitted is what the ServiceAccount admission of Kubernetes makes of a Pod's pull Secrets:
// https://github.com/kubernetes/kubernetes/blob/master/plugin/pkg/admission/serviceaccount/admission.go
func admitted(objects []*yaml.RNode, pod rewrite.Pod, unnamed string) []string {
	if len(pod.PullSecrets) > 0 {
		return pod.PullSecrets
	}
	name := pod.ServiceAccount
	if name == "" {
		name = "default"
	}
	where := func(namespace string) string {
		if namespace == "" {
			return unnamed
		}
		return namespace
	}
	for _, object := range objects {
		if object.GetApiVersion() == "v1" && object.GetKind() == "ServiceAccount" && object.GetName() == name && where(object.GetNamespace()) == where(pod.Namespace) {
			var account struct {
				ImagePullSecrets []struct{ Name string } `yaml:"imagePullSecrets"`
			}
			if err := object.YNode().Decode(&account); err != nil {
				return []string{err.Error()}
			}
			var all []string
			for _, secret := range account.ImagePullSecrets {
				all = append(all, secret.Name)
			}
			return all
		}
	}
	return nil
}

// TestServiceAccounts: whatever Kubernetes would have pulled with, it still pulls with, in that order; and the
// license's Secret comes to it.
func TestServiceAccounts(t *testing.T) {
	tests := []struct {
		name, namespace, base string
		want                  []string // of Pod p
	}{
		{"named", "", account("sa", "", "one", "two") + withSpec(pod("p", "o/a:1"), "serviceAccountName: sa"), []string{secretName, "one", "two"}},
		{"in the old spelling", "", account("sa", "", "one") + withSpec(pod("p", "o/a:1"), "serviceAccount: sa"), []string{secretName, "one"}},
		{"in both spellings", "", account("sa", "", "one") + account("old", "", "two") + withSpec(pod("p", "o/a:1"), "serviceAccount: old, serviceAccountName: sa"), []string{secretName, "one"}},
		{"the default one", "", account("default", "", "one") + pod("p", "o/a:1"), []string{secretName, "one"}},
		{"the default one is not the named one's", "", account("default", "", "one") + account("sa", "") + withSpec(pod("p", "o/a:1"), "serviceAccountName: sa"), []string{secretName}},
		{"not twice", "", account("sa", "", "one", secretName, "one") + withSpec(pod("p", "o/a:1"), "serviceAccountName: sa"), []string{secretName, "one"}},
		{"a Pod with its own", "", account("sa", "", "one") + withSpec(pod("p", "o/a:1"), "serviceAccountName: sa, imagePullSecrets: [{name: own}]"), []string{secretName, "own"}},
		{"a Pod with the license's own", "", account("sa", "", "one") + withSpec(pod("p", "o/a:1"), "serviceAccountName: sa, imagePullSecrets: [{name: "+secretName+"}]"), []string{secretName}},
		{"a Pod with an empty list", "", account("sa", "", "one") + withSpec(pod("p", "o/a:1"), "serviceAccountName: sa, imagePullSecrets: []"), []string{secretName, "one"}},
		{"elsewhere", "shop", account("sa", "other", "one") + withSpec(pod("p", "o/a:1"), "serviceAccountName: sa"), []string{secretName}},
		{"here, by name", "shop", account("sa", "shop", "one") + account("sa", "other", "two") + withSpec(pod("p", "o/a:1"), "serviceAccountName: sa"), []string{secretName, "one"}},
		{"both elsewhere", "shop", account("sa", "other", "one") + account("sa", "", "two") + inNamespace(withSpec(pod("p", "o/a:1"), "serviceAccountName: sa"), "other"), []string{secretName, "one"}},
		{"perhaps here", "", account("sa", "default", "one") + withSpec(pod("p", "o/a:1"), "serviceAccountName: sa"), []string{secretName, "one"}},
		{"of another group", "", strings.Replace(account("sa", "", "one"), "v1", "example.com/v1", 1) + withSpec(pod("p", "o/a:1"), "serviceAccountName: sa"), []string{secretName}},
		{"of a Pod with public images", "", account("sa", "", "one") + withSpec(pod("p", "busybox"), "serviceAccountName: sa"), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, map[string]string{"all.yaml": tt.base})
			s.public, s.plan.Namespace = []string{"busybox"}, tt.namespace
			s.rewrite()
			before, err := new(rewrite.Stage).Build(t.Context(), s.root+"/base")
			if err != nil {
				t.Fatal(err)
			}
			pods, err := rewrite.CollectPods(s.build())
			if err != nil || len(pods) != 1 {
				t.Fatalf("%v, %v", pods, err)
			}
			if diff := cmp.Diff(tt.want, pods[0].PullSecrets); diff != "" {
				t.Errorf("pull Secrets (-want +got):\n%s", diff)
			}
			if tt.want == nil {
				return
			}
			original := pods[0]
			original.PullSecrets = s.plan.Base.Pods[0].PullSecrets
			unnamed := tt.namespace
			if unnamed == "" {
				unnamed = "default"
			}
			at := -1
			for _, name := range admitted(before, original, unnamed) {
				if next := slices.Index(pods[0].PullSecrets, name); name != secretName && next < 0 {
					t.Errorf("Kubernetes would have pulled with %s", name)
				} else if name != secretName && !slices.Contains(pods[0].PullSecrets[:at+1], name) {
					at = next
				}
			}
		})
	}
}

// TestSecretsWhereverPodsAre is about the namespaces of the pull Secret.
func TestSecretsWhereverPodsAre(t *testing.T) {
	const crd = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: issuers.example.com}\nspec: {group: example.com, scope: Cluster, names: {kind: Issuer, plural: issuers}}\n---\n"
	const issuer = "apiVersion: example.com/v1\nkind: Issuer\nmetadata: {name: i}\n---\n"
	public := inNamespace(pod("public", "busybox"), "public")
	tests := []struct {
		name, namespace, base string
		want                  []string
	}{
		{"none", "", pod("p", "o/a:1"), []string{""}},
		{"one", "shop", pod("p", "o/a:1"), []string{"shop"}},
		{"several", "shop", pod("p", "o/a:1") + inNamespace(pod("p", "o/a:1"), "b") + inNamespace(pod("p", "o/b:1"), "a") + inNamespace(pod("q", "o/b:1"), "a") + public, []string{"shop", "a", "b"}},
		{"the same", "shop", inNamespace(pod("p", "o/a:1"), "shop"), []string{"shop"}},
		{"none but elsewhere", "", inNamespace(pod("p", "o/a:1"), "a") + public, []string{"a"}},
		{"none but elsewhere, and of the whole cluster", "", inNamespace(pod("p", "o/a:1"), "a") + crd + issuer, []string{"a"}},
		{"also where an operator may be", "", inNamespace(pod("p", "o/a:1"), "a") + issuer, []string{"", "a"}},
		{"nowhere", "", public, []string{""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, map[string]string{"all.yaml": tt.base})
			s.public, s.plan.Namespace = []string{"busybox"}, tt.namespace
			s.rewrite()
			var got []string
			for _, object := range s.build() {
				if object.GetKind() == "Secret" {
					got = append(got, object.GetNamespace())
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("namespaces (-want +got):\n%s", diff)
			}
		})
	}
}
