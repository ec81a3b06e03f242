// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// elsewhere is a namespace that the application has nothing to do with.
const elsewhere = "elsewhere"

// operatorImage has the built operator as its one file.
func operatorImage(t *testing.T) v1.Image {
	t.Helper()
	program, err := os.ReadFile(here.operator)
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	err = w.WriteHeader(&tar.Header{Name: "operator", Mode: 0o755, Size: int64(len(program))})
	if err == nil {
		_, err = w.Write(program)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: runtime.GOARCH, Config: v1.Config{Entrypoint: []string{"/operator"}}})
	if err == nil {
		image, err = mutate.AppendLayers(image, layer)
	}
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// operatorBase writes the application with an operator, and pushes its images.
func (p *imageProxy) operatorBase(t *testing.T) string {
	t.Helper()
	p.push(t, "operator", operatorImage(t))
	for _, tag := range []string{"sidecar", "helper", "debug"} {
		p.push(t, tag, p.runnable(t))
	}
	manifests, err := os.ReadFile("operator-app.yml")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "base")
	if err := os.Mkdir(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"app.yaml":      strings.ReplaceAll(string(manifests), "UPSTREAM", p.upstream.host+"/"+repository),
		"installer.yml": manifest(t, values{"apiVersion": "kots.io/v1beta1", "kind": "Application", "metadata": values{"name": appSlug}, "spec": values{"proxyRegistryDomain": p.address, "additionalNamespaces": []string{workersNamespace}}}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// plainPod is one that neither an operator nor a rewritten manifest makes.
func plainPod(t *testing.T, namespace, name, image string) string {
	t.Helper()
	return manifest(t, values{"apiVersion": "v1", "kind": "Pod", "metadata": values{"name": name, "namespace": namespace}, "spec": values{
		"terminationGracePeriodSeconds": 0, "containers": []values{{"name": "app", "image": image}},
	}})
}

// imagesAndSecrets are a Pod's images, those of its init containers first, and its pull Secrets.
func imagesAndSecrets(t *testing.T, namespace, pod string) string {
	t.Helper()
	return kubectl(t, "get", "pod", "-n", namespace, pod, "-o",
		"jsonpath={.spec.initContainers[*].image} {.spec.containers[*].image} {.spec.ephemeralContainers[*].image} {.spec.imagePullSecrets[*].name}")
}

// An operator makes Pods with the names that its vendor knows. The API server itself renames them, and the
// kubelet pulls all of them through the image proxy. Nothing else is touched.
func TestAdmissionPolicy(t *testing.T) {
	p := installImageProxy(t)
	removePolicyAtEnd(t)
	p.applyObjects(t)
	p.replicas(t, p.client(t))
	for _, each := range []string{customerNamespace, workersNamespace, elsewhere} {
		apply(t, manifest(t, values{"apiVersion": "v1", "kind": "Namespace", "metadata": values{"name": each}}))
		kubectl(t, "wait", "-n", each, "serviceaccount/default", "--for=create", "--timeout=1m")
	}
	kubectl(t, "apply", "-f", "rollout-api.yml")
	kubectl(t, "wait", "crd/rollouts.example.com", "--for=condition=Established", "--timeout=1m")
	old := p.upstream.host + "/" + repository
	apply(t, plainPod(t, customerNamespace, "before", old+":app"))

	base := p.operatorBase(t)
	p.rewrite(t, base, "--admission-policy")
	midstream := filepath.Join(filepath.Dir(base), "overlays", "midstream")
	step(t, "the policy first, so that it is in force before the operator is")
	kubectl(t, "apply", "-f", filepath.Join(midstream, "admission-policy.yaml"))
	through := fmt.Sprintf("%s/proxy/%s/vendor/%s", p.address, appSlug, repository)
	eventually(t, time.Minute, "the policy is in force", func() error {
		out, err := try(t.Context(), plainPod(t, customerNamespace, "probe", old+":app"), "apply", "--dry-run=server", "-f", "-", "-o", "jsonpath={.spec.containers[0].image}")
		if err == nil && out != through+":app" {
			err = fmt.Errorf("a Pod would have the image %s", out)
		}
		return err
	})
	kubeconfig := kubeconfigOf(t, customerNamespace)
	kubectl(t, "apply", "-k", midstream, "--kubeconfig", kubeconfig)

	for _, each := range []struct{ namespace, pod, secrets string }{{customerNamespace, "web", ""}, {workersNamespace, "worker", " corp"}} {
		kubectl(t, "wait", "-n", each.namespace, "pod/"+each.pod, "--for=create", "--timeout=2m")
		kubectl(t, "wait", "-n", each.namespace, "pod/"+each.pod, "--for=condition=Ready", "--timeout=2m")
		want := fmt.Sprintf("%[1]s:helper %[1]s:app %[1]s:sidecar  %[2]s-registry%[3]s", through, appSlug, each.secrets)
		if got := imagesAndSecrets(t, each.namespace, each.pod); got != want {
			t.Errorf("the operator's Pod %s has\n%s\nwant\n%s", each.pod, got, want)
		}
	}
	p.ofAccount(t, old, through)
	p.rewritten(t, old, through)
	p.debug(t, old, through)
	p.untouched(t, old)

	step(t, "rewritten and applied again")
	if out := p.rewrite(t, base, "--admission-policy"); strings.Contains(out, "create ") || strings.Contains(out, "update ") {
		t.Errorf("the second run writes something:\n%s", out)
	}
	for line := range strings.Lines(kubectl(t, "apply", "-k", midstream, "--kubeconfig", kubeconfig)) {
		if !strings.HasSuffix(strings.TrimSpace(line), " unchanged") {
			t.Errorf("applied again: %s", line)
		}
	}
	kubectl(t, "delete", "-k", midstream, "--kubeconfig", kubeconfig)
	if left := kubectl(t, "get", "mutatingadmissionpolicies,mutatingadmissionpolicybindings", "-o", "name"); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

// ofAccount makes a Pod that no manifest of the base is for. The API server gives it its ServiceAccount's pull
// Secret before the policy adds another.
func (p *imageProxy) ofAccount(t *testing.T, old, through string) {
	t.Helper()
	apply(t, manifest(t, values{"apiVersion": "v1", "kind": "Pod", "metadata": values{"name": "account", "namespace": workersNamespace}, "spec": values{
		"serviceAccountName": "worker", "terminationGracePeriodSeconds": 0,
		"containers": []values{{"name": "app", "image": old + ":app", "imagePullPolicy": "Always"}},
	}}))
	kubectl(t, "wait", "-n", workersNamespace, "pod/account", "--for=condition=Ready", "--timeout=2m")
	want := through + ":app  corp " + appSlug + "-registry"
	if got := strings.TrimSpace(imagesAndSecrets(t, workersNamespace, "account")); got != want {
		t.Errorf("the Pod of a ServiceAccount with a Secret has\n%s\nwant\n%s", got, want)
	}
}

// rewritten looks at what the kustomization renames: all but the text in the ConfigMap.
func (p *imageProxy) rewritten(t *testing.T, old, through string) {
	t.Helper()
	for _, each := range [][]string{
		{through + ":operator " + through + ":sidecar " + appSlug + "-registry", "deployment/operator", "-o",
			"jsonpath={.spec.template.spec.containers[0].image} {.spec.template.spec.containers[0].env[1].value} {.spec.template.spec.imagePullSecrets[*].name}"},
		{through + ":app " + appSlug + "-registry", "rollout/web", "-o",
			"jsonpath={.spec.template.spec.containers[0].image} {.spec.template.spec.imagePullSecrets[*].name}"},
		{`{"helper": "` + old + `:helper"}`, "configmap/operator", "-o", `jsonpath={.data.config\.json}`},
	} {
		if got := kubectl(t, append([]string{"get", "-n", customerNamespace}, each[1:]...)...); got != each[0] {
			t.Errorf("%s has\n%s\nwant\n%s", each[1], got, each[0])
		}
	}
}

// debug looks into the operator's Pod with an image of the vendor's.
func (p *imageProxy) debug(t *testing.T, old, through string) {
	t.Helper()
	kubectl(t, "debug", "-n", customerNamespace, "web", "--image", old+":debug", "--container", "debugger", "--profile", "general")
	eventually(t, 2*time.Minute, "the debugger runs", func() error {
		if state := kubectl(t, "get", "pod", "-n", customerNamespace, "web", "-o", "jsonpath={.status.ephemeralContainerStatuses[0].state}"); !strings.Contains(state, "running") {
			return fmt.Errorf("its state is %q", state)
		}
		return nil
	})
	if got := imagesAndSecrets(t, customerNamespace, "web"); !strings.Contains(got, " "+through+":debug ") {
		t.Errorf("with a debugger it has %s", got)
	}
}

// untouched tries what the policy must leave alone.
func (p *imageProxy) untouched(t *testing.T, old string) {
	t.Helper()
	public := nodeIP + ":5000/pause:1"
	apply(t, plainPod(t, elsewhere, "stranger", old+":app")+plainPod(t, customerNamespace, "public", public)+
		plainPod(t, customerNamespace, "similar", old+"-extra:app"))
	kubectl(t, "label", "-n", customerNamespace, "pod/before", "seen=yes")
	for _, each := range [][3]string{
		{elsewhere, "stranger", old + ":app"}, {customerNamespace, "public", public}, {customerNamespace, "similar", old + "-extra:app"},
		{customerNamespace, "before", old + ":app"},
	} {
		if got := strings.TrimSpace(imagesAndSecrets(t, each[0], each[1])); got != each[2] {
			t.Errorf("Pod %s in %s has %s, want %s", each[1], each[0], got, each[2])
		}
	}
}

// removePolicyAtEnd takes away what is the whole cluster's, too.
func removePolicyAtEnd(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute) // the test's own has ended
		defer cancel()
		name := appSlug + "-images." + customerNamespace
		for _, what := range [][]string{
			{"mutatingadmissionpolicy,mutatingadmissionpolicybinding", name}, {"namespace", workersNamespace, elsewhere},
			{"clusterrole,clusterrolebinding", "vendors-operator"}, {"customresourcedefinition", "rollouts.example.com"},
		} {
			if _, err := try(ctx, "", append([]string{"delete", "--ignore-not-found"}, what...)...); err != nil {
				t.Errorf("left behind: %v", err)
			}
		}
	})
}
