// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/kyaml/kio"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/rewrite"
)

func parse(t *testing.T, text string) []*yaml.RNode {
	t.Helper()
	objects, err := kio.FromBytes([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func TestEveryKind(t *testing.T) {
	tests := []struct{ apiVersion, kind, path string }{
		{"v1", "Pod", "spec"},
		{"v1", "PodTemplate", "template.spec"},
		{"v1", "ReplicationController", "spec.template.spec"},
		{"apps/v1", "Deployment", "spec.template.spec"},
		{"apps/v1", "StatefulSet", "spec.template.spec"},
		{"apps/v1", "DaemonSet", "spec.template.spec"},
		{"apps/v1", "ReplicaSet", "spec.template.spec"},
		{"batch/v1", "Job", "spec.template.spec"},
		{"batch/v1", "CronJob", "spec.jobTemplate.spec.template.spec"},
	}
	for _, tt := range tests {
		spec := map[string]any{"containers": []any{map[string]any{"image": "x/y:1"}}}
		path := strings.Split(tt.path, ".")
		for i := len(path) - 1; i >= 0; i-- {
			spec = map[string]any{path[i]: spec}
		}
		spec["apiVersion"], spec["kind"], spec["metadata"] = tt.apiVersion, tt.kind, map[string]any{"name": "n", "namespace": "ns"}
		node, err := yaml.FromMap(spec)
		if err != nil {
			t.Fatal(err)
		}
		got, err := rewrite.CollectPods([]*yaml.RNode{node})
		want := []rewrite.Pod{{APIVersion: tt.apiVersion, Kind: tt.kind, Namespace: "ns", Name: "n", Spec: path, Images: []string{"x/y:1"}}}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", tt.kind, err, diff)
		}
		if strangers := rewrite.Strangers([]*yaml.RNode{node}); strangers != nil {
			t.Errorf("%s is a stranger: %v", tt.kind, strangers)
		}
	}
}

func TestEveryContainer(t *testing.T) {
	got, err := rewrite.CollectPods(parse(t, `apiVersion: v1
kind: Pod
metadata: {name: all}
spec:
  initContainers: [{name: i, image: x/init}]
  containers:
  - {name: a, image: x/plain}
  - {name: b, image: x/init}
  - {name: none}
  - {name: empty, image: ""}
  ephemeralContainers: [{name: e, image: x/debug}]
  volumes: [{name: v, image: {reference: x/volume}}, {name: w, emptyDir: {}}]
  imagePullSecrets: [{name: one}, {name: two}]
`))
	want := []rewrite.Pod{{
		APIVersion: "v1", Kind: "Pod", Name: "all", Spec: []string{"spec"},
		Images: []string{"x/init", "x/plain", "x/debug", "x/volume"}, Uncommon: []string{"x/debug", "x/volume"}, PullSecrets: []string{"one", "two"},
	}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestBadPodSpecs(t *testing.T) {
	for spec, want := range map[string]string{
		"{containers: {a: b}}":                      "Pod x in namespace y: containers is not a list",
		"{containers: [{image: [a]}]}":              "Pod x in namespace y: containers: image is not a text",
		"{volumes: [{image: {reference: {a: 1}}}]}": "Pod x in namespace y: volumes: reference is not a text",
	} {
		_, err := rewrite.CollectPods(parse(t, "apiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: y}\nspec: "+spec+"\n"))
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", spec, err, want)
		}
	}
	for _, spec := range []string{"null", "{}", "{containers: null}", "{containers: []}", "[]", "text", "{containers: [text]}"} {
		if pods, err := rewrite.CollectPods(parse(t, "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: "+spec+"\n")); err == nil && len(pods[0].Images) > 0 {
			t.Errorf("%s: %v", spec, pods)
		}
	}
}
