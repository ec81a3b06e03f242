// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/rewrite"
)

// TestEditedByItsUser: comments, order and entries that are not ours stay, whatever changes in the base.
func TestEditedByItsUser(t *testing.T) {
	s := newSite(t, map[string]string{"pods.yaml": pod("p", "o/a:1", "o/b:1", "o/c:1", "o/d:1")})
	s.write("overlays/midstream/mine.yaml", pod("mine", "o/a:1"))
	s.write("overlays/midstream/kustomization.yaml", `# kept by the customer
kind: Kustomization
apiVersion: kustomize.config.k8s.io/v1beta1
images: # mine first
  - name: o/b # from our mirror
    newName: mirror.example.com/b
  - name: o/c
    newTag: "2" # pinned
  - name: o/d
    newName: old.example.com/proxy/my-kots-app/o/d # of the old domain
    newTag: "0"
  - name: gone
    newName: proxy.example.com/proxy/my-kots-app/gone
resources:
  - mine.yaml # ours
  - ../../base/
labels:
  - pairs: {team: shop}
`)
	overridden, err := s.tryRewrite()
	if diff := cmp.Diff([]string{"o/b"}, overridden); err != nil || diff != "" {
		t.Fatalf("%v, overridden: %s", err, diff)
	}
	s.rewrite()
	want := `# kept by the customer
kind: Kustomization
apiVersion: kustomize.config.k8s.io/v1beta1
images: # mine first
  - name: o/b # from our mirror
    newName: mirror.example.com/b
  - name: o/c
    newTag: "2" # pinned
  - name: o/d
    newName: proxy.example.com/proxy/my-kots-app/o/d # of the old domain
    newTag: "1"
  - name: o/a
    newName: proxy.example.com/proxy/my-kots-app/o/a
    newTag: "1"
`
	if got := s.kustomization(); !strings.HasPrefix(got, want) || !strings.Contains(got, "resources:\n  - mine.yaml # ours\n  - ../../base/\n  - pull-secret.yaml\nlabels:\n  - pairs: {team: shop}\n") {
		t.Errorf("kustomization:\n%s", got)
	}
	s.want(map[string]outcome{
		"Pod mine": {[]string{through + "o/a:1"}, nil},
		"Pod p":    {[]string{through + "o/a:1", "mirror.example.com/b:1", through + "o/c:2", through + "o/d:1"}, []string{secretName}},
	})
}

// TestChangedBase: what follows from the base follows it.
func TestChangedBase(t *testing.T) {
	s := newSite(t, map[string]string{"pods.yaml": pod("p", "o/a:1", "o/gone:1"), "more.yaml": strings.Replace(pod("e", "o/a:1"), "containers:", "ephemeralContainers:", 1)})
	s.rewrite()
	s.write("base/pods.yaml", pod("p", "o/a:2"))
	s.write("base/new/pods.yaml", pod("q", "o/new:1"))
	if err := os.Remove(filepath.Join(s.root, "base", "more.yaml")); err != nil {
		t.Fatal(err)
	}
	s.rewrite()
	s.want(map[string]outcome{
		"Pod p": {[]string{through + "o/a:2"}, []string{secretName}},
		"Pod q": {[]string{through + "o/new:1"}, []string{secretName}},
	})
	if got := s.kustomization(); strings.Contains(got, "gone") || strings.Contains(got, "configurations") {
		t.Errorf("what is gone is still there:\n%s", got)
	}
	s.public = []string{"o/a:2", "o/new:1"}
	s.rewrite()
	s.want(map[string]outcome{"Pod p": {[]string{"o/a:2"}, nil}, "Pod q": {[]string{"o/new:1"}, nil}})
	if got := s.kustomization(); strings.Contains(got, "patches") || strings.Contains(got, "images") {
		t.Errorf("nothing is private any more:\n%s", got)
	}
}

// TestRefuses: one clear line, and nothing is written.
func TestRefuses(t *testing.T) {
	kept := "apiVersion: v1\nkind: Secret\nmetadata: {name: my-kots-app-registry}\n"
	tests := []struct {
		name, file, content, want string
	}{
		{"invalid YAML", "base/bad.yaml", "a: b\n c: d\n", "base/bad.yaml: line 2: mapping values are not allowed in this context"},
		{"a stray document", "base/bad.yaml", pod("x", "a") + "a: b\n", "base/bad.yaml: line 6: a document without apiVersion and kind"},
		{"a digest that kustomize does not know", "base/bad.yaml", pod("x", "o/a@sha512:"+strings.Repeat("1", 128)), "Pod x: kustomize does not rename o/a@sha512:"},
		{"a Secret of that name", "base/bad.yaml", kept, "kustomize cannot build"},
		{"the same object twice", "base/bad.yaml", pod("p", "o/a"), "kustomize cannot build"},
		{"broken midstream", "overlays/midstream/kustomization.yaml", "a: b\n c: d\n", "overlays/midstream/kustomization.yaml: line 2: mapping values"},
		{"no mapping", "overlays/midstream/kustomization.yaml", "- a\n", "not a kustomization"},
		{"two documents", "overlays/midstream/kustomization.yaml", "a: b\n---\na: b\n", "a second YAML document"},
		{"images of text", "overlays/midstream/kustomization.yaml", "resources: []\nimages: x\n", "kustomization.yaml: line 2: images is not a list"},
		{"a file of somebody else", "overlays/midstream/pull-secret.yaml", kept, "pull-secret.yaml is not from kubectl lsp rewrite"},
		{"an Application with a bad namespace", "base/app.yaml", "apiVersion: kots.io/v1beta1\nkind: Application\nmetadata: {name: a}\nspec: {additionalNamespaces: [A]}\n", `"A" cannot be a namespace`},
		{"an Application with a bad domain", "base/app.yaml", "apiVersion: kots.io/v1beta1\nkind: Application\nmetadata: {name: a}\nspec: {proxyRegistryDomain: 'https://a'}\n", `spec.proxyRegistryDomain "https://a" is not a domain`},
		{"an API that kustomize does not know", "base/bad.yaml", "apiVersion: extensions/v1beta1\nkind: Deployment\nmetadata: {name: d}\nspec: {template: {spec: {imagePullSecrets: [{name: old}], containers: [{name: a, image: o/a}]}}}\n", "Deployment d: kustomize drops the pull Secret old"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, map[string]string{"pods.yaml": pod("p", "o/a:1")})
			s.write(tt.file, tt.content)
			before := s.tree()
			_, err := s.tryRewrite()
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
			if diff := cmp.Diff(before, s.tree()); diff != "" {
				t.Errorf("something was written:\n%s", diff)
			}
		})
	}
}

func TestMidstreamInsideTheBase(t *testing.T) {
	s := newSite(t, map[string]string{"pods.yaml": pod("p", "o/a:1")})
	s.plan.Dir = filepath.Join(s.root, "base", "overlays")
	if _, err := s.tryRewrite(); err == nil || !strings.Contains(err.Error(), "lies inside the base") {
		t.Errorf("error %v", err)
	}
}

// TestVerify: a midstream that does not do what was decided is noticed, whatever the reason.
func TestVerify(t *testing.T) {
	s := newSite(t, map[string]string{"pods.yaml": pod("p", "o/a:1")})
	s.rewrite()
	for name, text := range map[string]string{
		"does not rename o/a:1":        "resources: [../../base]\n",
		"does not add the pull Secret": "resources: [../../base]\nimages: [{name: o/a, newName: " + through + "o/a}]\n",
	} {
		s.write("overlays/midstream/kustomization.yaml", text)
		if err := s.plan.Verify(t.Context(), new(rewrite.Stage)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want %s", err, name)
		}
	}
}
