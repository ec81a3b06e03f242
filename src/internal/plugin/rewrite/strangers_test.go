// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/rewrite"
)

// TestPodTemplates: a kind with a Pod template is treated as a Deployment is, whoever made the kind.
func TestPodTemplates(t *testing.T) {
	const pod = `{containers: [{name: c, image: "o/a:1"}], initContainers: [{name: i, image: "o/b:1"}, {name: none}]}`
	for name, spec := range map[string]string{
		"Rollout":          "{template: {spec: POD}}",
		"DeploymentConfig": "{triggers: [{type: ConfigChange}], template: {metadata: {labels: {a: b}}, spec: POD}}",
		"ScaledJob":        "{jobTargetRef: {template: {spec: POD}}}",
		"CronWorkload":     "{jobTemplate: {spec: {template: {spec: POD}}}}",
		"PyTorchJob":       "{pytorchReplicaSpecs: {Master: {replicas: 1, template: {spec: POD}}}}",
		"JobSet":           "{replicatedJobs: [{name: w, template: {spec: {template: {spec: POD}}}}]}",
		"Kibana":           "{podTemplate: {spec: POD}}",
		"ServingRuntime":   `{imagePullSecrets: [], containers: [{name: c, image: "o/a:1"}], initContainers: [{name: i, image: "o/b:1"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			object := "apiVersion: example.com/v1\nkind: " + name + "\nmetadata: {name: x.y}\nspec: " + strings.ReplaceAll(spec, "POD", pod) + "\n"
			s := newSite(t, map[string]string{"all.yaml": object})
			s.rewrite()
			s.want(map[string]outcome{name + " x.y": {[]string{through + "o/b:1", through + "o/a:1"}, []string{secretName}}})
			if warnings := s.plan.Warnings(); warnings != nil {
				t.Errorf("warnings %q", warnings)
			}
		})
	}
}

// TestPodTemplatesKeepTheirSecrets: nothing is taken away, and nothing is added twice.
func TestPodTemplatesKeepTheirSecrets(t *testing.T) {
	s := newSite(t, map[string]string{"all.yaml": `apiVersion: ray.io/v1
kind: RayCluster
metadata: {name: ray}
spec:
  headGroupSpec: {template: {spec: {imagePullSecrets: [{name: old}], containers: [{name: c, image: o/a}]}}}
  workerGroupSpecs:
  - {groupName: public, template: {spec: {imagePullSecrets: [{name: old}], containers: [{name: c, image: busybox}]}}}
  - {groupName: has, template: {spec: {imagePullSecrets: [{name: my-kots-app-registry}], containers: [{name: c, image: o/a, command: [a]}]}}}
  - {groupName: none, template: {spec: {containers: [{name: c, image: o/a, env: [{name: X, value: y}]}]}}}
`})
	s.public = []string{"busybox"}
	s.rewrite()
	pods, err := rewrite.CollectPods(s.build())
	if err != nil {
		t.Fatal(err)
	}
	var secrets, images []string
	for _, pod := range pods {
		secrets = append(secrets, strings.Join(pod.PullSecrets, " "))
		images = append(images, pod.Images...)
	}
	if diff := cmp.Diff([]string{"old " + secretName, "old", secretName, secretName}, secrets); diff != "" {
		t.Errorf("pull Secrets (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{through + "o/a", "busybox", through + "o/a", through + "o/a"}, images); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
	s.public = append(s.public, "o/a")
	s.rewrite()
	if text := s.kustomization(); strings.Contains(text, "components") {
		t.Errorf("a component without need:\n%s", text)
	}
}

// TestNamesakes: objects that differ only in their namespace, or only in a dot, are told apart.
func TestNamesakes(t *testing.T) {
	rollout := func(name, image string) string {
		return "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {" + name + "}\nspec: {template: {spec: {containers: [{name: c, image: " + image + "}]}}}\n---\n"
	}
	s := newSite(t, map[string]string{"all.yaml": rollout("name: a.b", "o/a") + rollout("name: a-b", "busybox") +
		rollout("name: a.b, namespace: shop", "busybox") + rollout("name: a-b, namespace: shop", "o/a")})
	s.public = []string{"busybox"}
	s.rewrite()
	ours, busybox := outcome{[]string{through + "o/a"}, []string{secretName}}, outcome{[]string{"busybox"}, nil}
	s.want(map[string]outcome{
		"Rollout a.b": ours, "Rollout a-b": busybox, "Rollout a.b in namespace shop": busybox, "Rollout a-b in namespace shop": ours,
	})
}

func TestStrangers(t *testing.T) {
	objects := parse(t, `apiVersion: monitoring.coreos.com/v1
kind: Prometheus
metadata: {name: web, namespace: shop}
spec: {containers: [{image: x/a}], initContainers: [{image: x/b}, {name: none}]}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: rollouts.argoproj.io}
spec: {template: {spec: {containers: [{image: x/a}]}}, containers: [{image: x/a}]}
---
apiVersion: example.com/v1
kind: Deployment
metadata: {name: foreign}
spec: {containers: {image: x/a}, template: {spec: {containers: [x/a, {image: [x/a]}]}}}
`)
	want := []rewrite.Stranger{{Kind: "Prometheus", Namespace: "shop", Name: "web", Images: []string{"x/b", "x/a"}}}
	got := rewrite.Strangers(objects)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("strangers (-want +got):\n%s", diff)
	}
	if got[0].String() != "Prometheus web in namespace shop" {
		t.Errorf("it is called %s", got[0])
	}
	if pods, err := rewrite.CollectPods(objects); err != nil || pods != nil {
		t.Errorf("they are no Pods: %v, %v", pods, err)
	}
}

// TestNoImages: what stands where an image belongs and is none does not stop the rest, and is told.
func TestNoImages(t *testing.T) {
	s := newSite(t, map[string]string{"pods.yaml": pod("p", "o/a:1", "auto", "A B", "${IMAGE}", "ko://example.com/cmd/x")})
	s.rewrite()
	s.want(map[string]outcome{"Pod p": {[]string{through + "o/a:1", "auto", "A B", "${IMAGE}", "ko://example.com/cmd/x"}, []string{secretName}}})
	warnings := strings.Join(s.plan.Warnings(), "\n")
	for _, text := range []string{"auto", "A B", "${IMAGE}", "ko://example.com/cmd/x"} {
		if !strings.Contains(warnings, `Pod p: "`+text+`" is no image, and stays as it is`) {
			t.Errorf("nothing is said of %s:\n%s", text, warnings)
		}
	}
}
