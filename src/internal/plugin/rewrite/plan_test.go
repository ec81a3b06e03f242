// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	stdcmp "cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/rewrite"
)

const (
	proxyDomain = "proxy.example.com"
	through     = proxyDomain + "/proxy/my-kots-app/"
	secretName  = "my-kots-app-registry"
	digest      = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
)

// site is a directory with a base and its midstream.
type site struct {
	*testing.T
	root string
	// public are the images that their registries give to everybody; all others are private.
	public []string
	// verdict is that of images that are not public; empty: they are private. all is the command's --all.
	verdict rewrite.Verdict
	all     bool
	options rewrite.FieldOptions
	unused  []rewrite.FieldSelector
	plan    rewrite.Plan
}

func newSite(t *testing.T, base map[string]string) *site {
	t.Helper()
	s := &site{T: t, root: t.TempDir()}
	s.plan = rewrite.Plan{
		Dir: filepath.Join(s.root, "overlays", "midstream"), LicenseID: "the-license-id",
		Proxy: rewrite.Proxy{Domain: proxyDomain, App: "my-kots-app"}, RegistryDomain: "registry.example.com",
	}
	for name, text := range base {
		s.write("base/"+name, text)
	}
	return s
}

func (s *site) write(name, text string) {
	s.Helper()
	path := filepath.Join(s.root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		s.Fatal(err)
	}
}

func (s *site) read(name string) string {
	s.Helper()
	text, err := os.ReadFile(filepath.Join(s.root, filepath.FromSlash(name)))
	if err != nil {
		s.Fatal(err)
	}
	return string(text)
}

func (s *site) kustomization() string { return s.read("overlays/midstream/kustomization.yaml") }

// tryRewrite does what the command does, up to and with the writing.
func (s *site) tryRewrite() (overridden []string, err error) {
	s.Helper()
	var files rewrite.Stage
	base, err := rewrite.LoadBase(s.Context(), &files, filepath.Join(s.root, "base"))
	if err != nil {
		return nil, err
	}
	s.plan.Base, s.plan.Answers = base, map[string]rewrite.Answer{}
	s.unused = base.FindFields(s.options)
	for _, image := range s.plan.Open() {
		s.plan.Answers[image] = rewrite.Answer{Verdict: stdcmp.Or(s.verdict, rewrite.Private), Reason: "x"}
		if slices.Contains(s.public, image) {
			s.plan.Answers[image] = rewrite.Answer{Verdict: rewrite.Public, Reason: "x"}
		}
	}
	if s.all {
		s.plan.AssumeAll()
	}
	if overridden, err = s.plan.Stage(&files); err != nil {
		return nil, err
	}
	if err := s.plan.Verify(s.Context(), &files); err != nil {
		return nil, err
	}
	return overridden, files.Commit()
}

// rewrite does it twice: the second time must change nothing.
func (s *site) rewrite() {
	s.Helper()
	if _, err := s.tryRewrite(); err != nil {
		s.Fatal(err)
	}
	before := s.tree()
	if _, err := s.tryRewrite(); err != nil {
		s.Fatal(err)
	}
	if diff := cmp.Diff(before, s.tree()); diff != "" {
		s.Errorf("the second run changes something:\n%s", diff)
	}
}

func (s *site) tree() map[string]string {
	s.Helper()
	all := map[string]string{}
	err := filepath.Walk(s.root, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		all[path] = info.Mode().String() + info.ModTime().String() + string(content)
		return err
	})
	if err != nil {
		s.Fatal(err)
	}
	return all
}

func (s *site) build() []*yaml.RNode {
	s.Helper()
	objects, err := new(rewrite.Stage).Build(s.Context(), s.plan.Dir)
	if err != nil {
		s.Fatal(err)
	}
	return objects
}

// outcome is what an object has in the end: images, then pull Secrets.
type outcome struct{ images, secrets []string }

func (s *site) want(want map[string]outcome) {
	s.Helper()
	pods, err := rewrite.CollectPods(s.build())
	if err != nil {
		s.Fatal(err)
	}
	got := map[string]outcome{}
	for _, pod := range pods {
		slices.Sort(pod.PullSecrets)
		got[pod.String()] = outcome{slices.Concat(got[pod.String()].images, pod.Images), pod.PullSecrets}
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(outcome{})); diff != "" {
		s.Errorf("built by kustomize (-want +got):\n%s", diff)
	}
}

func pod(name string, images ...string) string {
	containers := make([]string, len(images))
	for i, image := range images {
		containers[i] = "{name: c" + string(rune('a'+i)) + ", image: '" + image + "'}"
	}
	return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name + "}\nspec: {containers: [" + strings.Join(containers, ", ") + "]}\n---\n"
}

// TestExample is the example of the specification, to the letter.
func TestExample(t *testing.T) {
	s := newSite(t, map[string]string{"api.yaml": pod("api", "quay.io/my-org/api:v1.0.1")})
	s.rewrite()
	want := `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
- ../../base
- pull-secret.yaml
patches:
- path: patches.yaml
images:
- name: quay.io/my-org/api
  newName: proxy.example.com/proxy/my-kots-app/quay.io/my-org/api
  newTag: v1.0.1
`
	if diff := cmp.Diff(want, s.kustomization()); diff != "" {
		t.Errorf("kustomization (-want +got):\n%s", diff)
	}
	s.want(map[string]outcome{"Pod api": {[]string{through + "quay.io/my-org/api:v1.0.1"}, []string{secretName}}})
}

func TestNames(t *testing.T) {
	tests := []struct {
		name           string
		images, become []string
		kustomization  string // a part of it
	}{
		{"tag", []string{"quay.io/o/a:1.0"}, []string{"quay.io/o/a:1.0"}, `newTag: "1.0"`},
		{"no tag", []string{"quay.io/o/a"}, []string{"quay.io/o/a"}, "/quay.io/o/a\n"},
		{"digest", []string{"quay.io/o/a@" + digest}, []string{"quay.io/o/a@" + digest}, "digest: " + digest},
		{"both", []string{"quay.io/o/a:v1@" + digest}, []string{"quay.io/o/a:v1@" + digest}, "newTag: v1\n  digest: " + digest},
		{"two tags", []string{"quay.io/o/a:v1", "quay.io/o/a:v2", "quay.io/o/a"}, []string{"quay.io/o/a:v1", "quay.io/o/a:v2", "quay.io/o/a"}, ""},
		{"tag and digest", []string{"o/a:v1", "o/a@" + digest}, []string{"o/a:v1", "o/a@" + digest}, ""},
		{"port", []string{"localhost:5000/a:v1"}, []string{"localhost:5000/a:v1"}, "name: localhost:5000/a\n"},
		{"alias", []string{"r.example:5000/a/b:v1"}, []string{"own/a/b:v1"}, "newName: " + through + "own/a/b\n"},
		{
			"spellings of Docker Hub", []string{"busybox:1", "library/busybox:1", "docker.io/busybox:1", "index.docker.io/library/busybox:1"},
			[]string{"busybox:1", "library/busybox:1", "docker.io/busybox:1", "index.docker.io/library/busybox:1"}, "name: docker.io/library/busybox\n",
		},
		{"a name that another begins with", []string{"quay.io/o/a:1", "quay.io/o/a-b:2", "o/a:3"}, []string{"quay.io/o/a:1", "quay.io/o/a-b:2", "o/a:3"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, map[string]string{"pods.yaml": pod("p", tt.images...)})
			s.plan.Proxy.Aliases = map[string]string{"r.example:5000": "own"}
			s.rewrite()
			for i := range tt.become {
				tt.become[i] = through + tt.become[i]
			}
			s.want(map[string]outcome{"Pod p": {tt.become, []string{secretName}}})
			if !strings.Contains(s.kustomization(), tt.kustomization) {
				t.Errorf("kustomization has no %q:\n%s", tt.kustomization, s.kustomization())
			}
			if tag := strings.Contains(s.kustomization(), "newTag"); strings.HasPrefix(tt.name, "two") && tag {
				t.Errorf("one tag for two:\n%s", s.kustomization())
			}
		})
	}
}

// TestOnlyWhatIsPrivate: no public image is touched, and no object that has none but public ones. What is on
// a domain that takes the license keeps its name and gets the Secret.
func TestOnlyWhatIsPrivate(t *testing.T) {
	s := newSite(t, map[string]string{"all.yaml": `apiVersion: v1
kind: List
items:
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: init}
  spec: {template: {spec: {imagePullSecrets: [{name: old}, {name: older}], initContainers: [{name: i, image: o/a:1}], containers: [{name: c, image: busybox}]}}}
- apiVersion: batch/v1
  kind: CronJob
  metadata: {name: cron}
  spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: c, image: o/a:2}]}}}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: public}
spec: {template: {spec: {imagePullSecrets: [{name: old}], containers: [{name: c, image: busybox}]}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: proxied}
spec: {template: {spec: {containers: [{name: c, image: "proxy.example.com/proxy/my-kots-app/quay.io/x/y:1"}]}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: licensed}
spec: {template: {spec: {imagePullSecrets: [{name: my-kots-app-registry}], containers: [{name: c, image: "registry.example.com/my-kots-app/z:1"}]}}}
---
apiVersion: v1
kind: Pod
metadata: {name: ephemeral}
spec: {containers: [{name: c, image: busybox}], ephemeralContainers: [{name: e, image: o/debug:1}], volumes: [{name: v, image: {reference: o/data}}, {name: w, emptyDir: {}}]}
---
apiVersion: v1
kind: ReplicationController
metadata: {name: rc}
spec: {template: {spec: {containers: [{name: c, image: o/a:1}]}}}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: rs}
spec: {template: {spec: {containers: [{name: c, image: o/a:1}]}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: sa}
imagePullSecrets: [{name: old}]
`})
	s.public = []string{"busybox"}
	s.rewrite()
	ours := []string{secretName}
	s.want(map[string]outcome{
		"Deployment init":          {[]string{through + "o/a:1", "busybox"}, []string{secretName, "old", "older"}},
		"CronJob cron":             {[]string{through + "o/a:2"}, ours},
		"StatefulSet public":       {[]string{"busybox"}, []string{"old"}},
		"DaemonSet proxied":        {[]string{through + "quay.io/x/y:1"}, ours},
		"Job licensed":             {[]string{"registry.example.com/my-kots-app/z:1"}, ours},
		"Pod ephemeral":            {[]string{"busybox", through + "o/debug:1", through + "o/data"}, ours},
		"ReplicationController rc": {[]string{through + "o/a:1"}, ours},
		"ReplicaSet rs":            {[]string{through + "o/a:1"}, ours},
	})
	for _, object := range s.build() {
		if object.GetKind() == "ServiceAccount" && !strings.Contains(object.MustString(), "imagePullSecrets: [{name: old}]\n") {
			t.Errorf("the ServiceAccount changed:\n%s", object.MustString())
		}
	}
	verdicts := map[rewrite.Verdict]int{}
	for _, finding := range s.plan.Findings() {
		verdicts[finding.Verdict]++
	}
	want := map[rewrite.Verdict]int{rewrite.Private: 4, rewrite.Public: 1, rewrite.Proxied: 1, rewrite.Licensed: 1}
	if diff := cmp.Diff(want, verdicts); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
}

// TestLookalike: kustomize takes a name for a regular expression, in which "my.org" is "my-org" as well.
func TestLookalike(t *testing.T) {
	s := newSite(t, map[string]string{"pods.yaml": pod("private", "my.org/a:1") + pod("public", "my-org/a:1")})
	s.public = []string{"my-org/a:1"}
	s.rewrite()
	s.want(map[string]outcome{
		"Pod private": {[]string{through + "my.org/a:1"}, []string{secretName}},
		"Pod public":  {[]string{"my-org/a:1"}, nil},
	})
}

func TestBaseWithKustomization(t *testing.T) {
	const own = "# the vendor's\nresources: [sub/pods.yaml]\nnamePrefix: shop-\nnamespace: shop\nimages: [{name: o/a, newTag: v9}]\n"
	s := newSite(t, map[string]string{"kustomization.yml": own, "sub/pods.yaml": pod("p", "o/a:1"), "unlisted.yaml": pod("other", "o/b")})
	s.plan.Namespace = "shop"
	s.rewrite()
	s.want(map[string]outcome{"Pod shop-p in namespace shop": {[]string{through + "o/a:v9"}, []string{secretName}}})
	if s.read("base/kustomization.yml") != own {
		t.Error("the vendor's kustomization changed")
	}
}
