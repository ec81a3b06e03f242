// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const ofPolicy = "my-kots-app-registry"

// withPolicy rewrites a base of one Pod with the images.
func (p *place) withPolicy(args []string, images ...string) {
	p.Helper()
	var containers []string
	for i, image := range images {
		containers = append(containers, fmt.Sprintf("{name: c%d, image: %q}", i, image))
	}
	p.file("base/pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: operator}\nspec: {containers: ["+strings.Join(containers, ", ")+"]}\n")
	p.file("license.yaml", customer)
	p.run("", "kubectl-lsp", append([]string{"rewrite", "--base", "base", "--license-file", "license.yaml", "--proxy-domain", "proxy.example.com",
		"--registry-domain", "registry.example.com", "--namespace", "shop", "--all", "--admission-policy"}, args...)...)
}

// policy is the one that is written for the images.
func (p *place) policy(args []string, images ...string) string {
	p.Helper()
	p.withPolicy(args, images...)
	content, err := os.ReadFile(filepath.Join(p.dir, "overlays", "midstream", "admission-policy.yaml"))
	if err != nil {
		p.Fatal(err)
	}
	return string(content)
}

// built is the midstream, as kubectl builds it.
func (p *place) built() string {
	p.Helper()
	out, _ := p.run("", "kubectl", "kustomize", "overlays/midstream")
	return out
}

// imagesOf are a Pod's images wherever they are, then its pull Secrets.
func imagesOf(pod *corev1.Pod) []string {
	var all []string
	for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		all = append(all, container.Image)
	}
	for _, container := range pod.Spec.EphemeralContainers {
		all = append(all, container.Image)
	}
	for _, volume := range pod.Spec.Volumes {
		if volume.Image != nil {
			all = append(all, volume.Image.Reference)
		}
	}
	for _, secret := range pod.Spec.ImagePullSecrets {
		all = append(all, "secret "+secret.Name)
	}
	return all
}

// admitted admits a new Pod twice: what is admitted already must not change again.
func (a *admitter) admitted(t *testing.T, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	for range 2 {
		before := pod.DeepCopy()
		if err := a.admit(pod, nil, ""); err != nil {
			t.Fatal(err)
		}
		again := pod.DeepCopy()
		if err := a.admit(again, nil, ""); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(pod, again); diff != "" {
			t.Errorf("admitted once more, %v changes:\n%s", imagesOf(before), diff)
		}
	}
	return pod
}

// private are the images of the base in these tests. All others are somebody else's.
func private() []string {
	return []string{
		"quay.io/my-org/api:v1", "redis:7", "team/app", "registry-1.docker.io/library/nginx:1", "localhost:5000/team/local:2",
		"docker.io/quay.io/odd:1",
	}
}

// TestPolicyNames: the API server renames the repositories of the base, by their exact names, and nothing
// else.
func TestPolicyNames(t *testing.T) {
	t.Parallel()
	a := newAdmitter(t, newPlace(t).policy([]string{"--alias", "localhost:5000=vendor"}, private()...))
	digest := "@sha256:" + strings.Repeat("1", 64)
	renamed := map[string]string{"localhost:5000/team/local:9": "vendor/team/local:9", "localhost:5000/team/local" + digest: "vendor/team/local" + digest}
	for _, image := range []string{
		"quay.io/my-org/api", "quay.io/my-org/api:other", "quay.io/my-org/api" + digest, "quay.io/my-org/api:v1" + digest,
		"redis", "redis:8" + digest, "library/redis:7", "docker.io/redis", "docker.io/library/redis:7", "index.docker.io/library/redis", "index.docker.io/redis:1",
		"registry-1.docker.io/library/redis:7", "nginx", "docker.io/library/nginx:1", "registry-1.docker.io/nginx" + digest,
		"team/app:1", "docker.io/team/app", "index.docker.io/team/app" + digest, "docker.io/quay.io/odd",
	} {
		renamed[image] = image
	}
	for image, to := range renamed {
		want := []string{through + to, "secret " + ofPolicy}
		if diff := cmp.Diff(want, imagesOf(a.admitted(t, podOf("shop", image)))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", image, diff)
		}
	}
	for _, image := range []string{
		"quay.io/my-org/api-extra", "quay.io/my-org/api/sub:1", "quay.io/my-org/ap", "quay.io/my-org", "quayxio/my-org/api", "evil.quay.io/my-org/api", "quay.io:443/my-org/api",
		"quay.io/other/quay.io/my-org/api", "quay.io/MY-ORG/api", "redis:5000/app", "redis.example.com/redis", "example.com/library/redis", "example.com/docker.io/library/redis",
		"library/library/redis", "docker.io/library/library/redis", "docker.io/my-org/api", "my-org/api", "other/app", "library/team/app", "localhost/team/local", "localhost:5001/team/local",
		"team/local", "quay.io/odd", "quay.io/odd:1", "docker.io.example.com/redis", "proxy.example.com.evil/proxy/x", "busybox", "", " ", ":", "@", "/", "redis/", "quay.io/my-org/api/",
		"quay.io//my-org/api", "docker.io/", strings.Repeat("a/", 300),
	} {
		if diff := cmp.Diff(podOf("shop", image), a.admitted(t, podOf("shop", image))); diff != "" {
			t.Errorf("%q changed:\n%s", image, diff)
		}
	}
	for _, image := range []string{through + "quay.io/my-org/api:v1", "proxy.example.com/other", "registry.example.com/my-kots-app/x:1"} {
		if diff := cmp.Diff([]string{image, "secret " + ofPolicy}, imagesOf(a.admitted(t, podOf("shop", image)))); diff != "" {
			t.Errorf("%s, which takes the license (-want +got):\n%s", image, diff)
		}
	}
	if diff := cmp.Diff(podOf("shop"), a.admitted(t, podOf("shop"))); diff != "" {
		t.Errorf("without containers:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"redis"}, imagesOf(a.admitted(t, podOf("elsewhere", "redis")))); diff != "" {
		t.Errorf("in another namespace:\n%s", diff)
	}
}

// TestPolicyPlaces: every place of a Pod's that has an image, and its other pull Secrets.
func TestPolicyPlaces(t *testing.T) {
	t.Parallel()
	a := newAdmitter(t, newPlace(t).policy(nil, private()...))
	pod := podOf("shop", "busybox", "redis:7", "team/app:1")
	pod.Spec.InitContainers = []corev1.Container{{Name: "i", Image: "quay.io/my-org/api:v1"}, {Name: "none"}}
	pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "e", Image: "redis"}}}
	pod.Spec.Volumes = []corev1.Volume{
		{Name: "empty", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		{Name: "none", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{}}},
		{Name: "image", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "team/app:data"}}},
	}
	pod.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "corp"}, {}}
	want := pod.DeepCopy()
	want.Spec.InitContainers[0].Image = through + "quay.io/my-org/api:v1"
	want.Spec.Containers[1].Image, want.Spec.Containers[2].Image = through+"redis:7", through+"team/app:1"
	want.Spec.EphemeralContainers[0].Image = through + "redis"
	want.Spec.Volumes[2].Image.Reference = through + "team/app:data"
	want.Spec.ImagePullSecrets = append(want.Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: ofPolicy})
	if diff := cmp.Diff(want, a.admitted(t, pod)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	pod = podOf("shop", "redis")
	pod.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: ofPolicy}, {Name: "corp"}}
	if diff := cmp.Diff([]string{through + "redis", "secret " + ofPolicy, "secret corp"}, imagesOf(a.admitted(t, pod))); diff != "" {
		t.Errorf("with the Secret already (-want +got):\n%s", diff)
	}
}

// TestPolicyChanges: of a Pod that is there only what becomes new is renamed. Another name would start its
// containers again, and its pull Secrets cannot change.
func TestPolicyChanges(t *testing.T) {
	t.Parallel()
	a := newAdmitter(t, newPlace(t).policy(nil, private()...))
	change := func(name, subresource string, before *corev1.Pod, edit func(*corev1.Pod), want ...string) {
		t.Helper()
		after := before.DeepCopy()
		edit(after)
		if err := a.admit(after, before, subresource); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, imagesOf(after)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	debug := func(image string) func(*corev1.Pod) {
		return func(pod *corev1.Pod) {
			pod.Spec.EphemeralContainers = append(pod.Spec.EphemeralContainers, corev1.EphemeralContainer{
				EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: fmt.Sprint("e", len(pod.Spec.EphemeralContainers)), Image: image},
			})
		}
	}
	older := podOf("shop", "redis:7", "team/app:1")
	change("a label of a Pod from before", "", older, func(pod *corev1.Pod) { pod.Labels = map[string]string{"a": "b"} }, "redis:7", "team/app:1")
	change("one image of a Pod from before", "", older, func(pod *corev1.Pod) { pod.Spec.Containers[1].Image = "team/app:2" }, "redis:7", through+"team/app:2")
	change("the end of a Pod from before", "", older, func(pod *corev1.Pod) { pod.DeletionTimestamp = &metav1.Time{} }, "redis:7", "team/app:1")
	renamed := a.admitted(t, podOf("shop", "redis:7"))
	secret := "secret " + ofPolicy
	change("the old name again", "", renamed, func(pod *corev1.Pod) { pod.Spec.Containers[0].Image = "redis:7" }, through+"redis:7", secret)
	change("a container to look into it", "ephemeralcontainers", renamed, debug("quay.io/my-org/api:debug"), through+"redis:7", through+"quay.io/my-org/api:debug", secret)
	change("a public container to look into it", "ephemeralcontainers", renamed, debug("busybox"), through+"redis:7", "busybox", secret)
	olderDebugged := older.DeepCopy()
	debug("redis:debug")(olderDebugged)
	change("the second one", "ephemeralcontainers", olderDebugged, debug("redis:tools"), "redis:7", "team/app:1", "redis:debug", through+"redis:tools")
}

// TestPolicyAsRewrite: what the API server makes of a Pod is what kustomize makes of it.
func TestPolicyAsRewrite(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	images := append(private(), "docker.io/library/redis:8", "index.docker.io/team/app:2", "registry.example.com/x:1", "quay.io/my-org/api:v2", through+"quay.io/my-org/api:v3")
	p.withPolicy([]string{"--alias", "localhost:5000=vendor", "--alias", "docker.io=hub"}, images...)
	built := p.built()
	got := imagesOf(newAdmitter(t, built).admitted(t, podOf("shop", images...)))
	if diff := cmp.Diff(objectsOf(t, built)["Pod operator"].images(), got); diff != "" {
		t.Errorf("(-kustomize +API server):\n%s", diff)
	}
}

// TestPolicyOfMany: the API server bounds what an expression may cost, and how long it is.
func TestPolicyOfMany(t *testing.T) {
	t.Parallel()
	var images []string
	for i := range 200 {
		host := fmt.Sprintf("registry%d.vendor.example.com/", i)
		if i%10 == 0 {
			host = "" // Docker Hub
		}
		images = append(images, fmt.Sprintf("%sa-team-of-the-vendors/its-product/component-%d:v1", host, i))
	}
	a := newAdmitter(t, newPlace(t).policy(nil, images...))
	pod := podOf("shop", slices.Concat(images, images)...) // more containers than any Pod has
	var want []string
	for _, image := range slices.Concat(images, images) {
		want = append(want, through+image)
	}
	if diff := cmp.Diff(append(want, "secret "+ofPolicy), imagesOf(a.admitted(t, pod))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestPolicyText: texts that would end a text of CEL's stay texts.
func TestPolicyText(t *testing.T) {
	t.Parallel()
	odd := `it's "\n\` + "é"
	a := newAdmitter(t, newPlace(t).policy([]string{"--alias", odd + "=x"}, "redis"))
	if diff := cmp.Diff([]string{through + "redis:1", "secret " + ofPolicy}, imagesOf(a.admitted(t, podOf("shop", "redis:1")))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestPolicyComesAndGoes: the file follows the flag.
func TestPolicyComesAndGoes(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.withPolicy(nil, "redis")
	with, before := p.built(), p.tree()
	p.withPolicy(nil, "redis")
	after := p.tree()
	for path, content := range before {
		if strings.Contains(path, "overlays") && after[path] != content {
			t.Errorf("the second run writes %s", path)
		}
	}
	p.withPolicy([]string{"--admission-policy=false"}, "redis")
	without := p.built()
	if strings.Contains(without, "AdmissionPolicy") || !strings.Contains(with, "kind: MutatingAdmissionPolicyBinding") {
		t.Errorf("without the flag:\n%s", without)
	}
}
