// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// workersNamespace is the additional one of the application.
const workersNamespace = "workers"

// base writes an application's manifests, as a vendor ships them: nothing in them knows the proxy.
func (p *imageProxy) base(t *testing.T) string {
	t.Helper()
	image := p.upstream.host + "/" + repository + ":app"
	pod := func(namespace string) values {
		labels := values{"app": "vendors"}
		return values{
			"apiVersion": "apps/v1", "kind": "Deployment", "metadata": values{"name": "vendors", "namespace": namespace},
			"spec": values{
				"selector": values{"matchLabels": labels},
				"template": values{
					"metadata": values{"labels": labels},
					"spec": values{
						"terminationGracePeriodSeconds": 0,
						"containers":                    []values{{"name": "app", "image": image, "imagePullPolicy": "Always"}},
					},
				},
			},
		}
	}
	here := pod("")
	delete(here["metadata"].(values), "namespace")
	dir := filepath.Join(t.TempDir(), "base")
	if err := os.Mkdir(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"app.yaml": manifest(t, values{
			"apiVersion": "kots.io/v1beta1", "kind": "Application", "metadata": values{"name": appSlug},
			"spec": values{"proxyRegistryDomain": p.address, "additionalNamespaces": []string{workersNamespace}},
		}),
		"web.yaml": manifest(t, here), "workers.yaml": manifest(t, pod(workersNamespace)),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// rewrite runs the built plugin, which trusts the cluster's CA and has no credential but the license.
func (p *imageProxy) rewrite(t *testing.T, base string, args ...string) string {
	t.Helper()
	id := filepath.Join(t.TempDir(), "id")
	if err := os.WriteFile(id, []byte(p.id+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(here.plugin, "kubectl-lsp"), append([]string{"rewrite", "--base", base, "--app-slug", appSlug,
		"--license-id-file", id, "--alias", p.upstream.host + "=vendor", "--namespace", customerNamespace}, args...)...)
	cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+filepath.Join(here.dir, "pki", "ca.crt"), "HOME="+t.TempDir(), "DOCKER_CONFIG="+t.TempDir())
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", cmd, err, stdout.String(), stderr.String())
	}
	step(t, "kubectl lsp rewrite:\n%s%s", stdout.String(), stderr.String())
	return stdout.String()
}

// kubeconfigOf is the administrator's, with a default namespace.
func kubeconfigOf(t *testing.T, namespace string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	inside, err := os.ReadFile(filepath.Join(here.dir, "kubeconfig.inside"))
	if err == nil {
		err = os.WriteFile(path, inside, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	kubectl(t, "config", "set-context", "--current", "--namespace", namespace, "--kubeconfig", path)
	return path
}

// A vendor's manifests, rewritten and applied, run: the kubelet pulls through the image proxy in each of the
// application's namespaces.
func TestRewrite(t *testing.T) {
	p := installImageProxy(t)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute) // the test's own has ended
		defer cancel()
		if _, err := try(ctx, "", "delete", "--ignore-not-found", "namespace", workersNamespace); err != nil {
			t.Errorf("left behind: %v", err)
		}
	})
	p.applyObjects(t)
	p.replicas(t, p.client(t))
	for _, each := range []string{customerNamespace, workersNamespace} {
		apply(t, manifest(t, values{"apiVersion": "v1", "kind": "Namespace", "metadata": values{"name": each}}))
	}

	base := p.base(t)
	// The upstream's token realm has a private address, where go-containerregistry does not go: no answer
	// without credentials.
	if out := p.rewrite(t, base); !strings.HasPrefix(out, "unreachable ") {
		t.Errorf("the vendor's image was not found to be closed:\n%s", out)
	}
	midstream := filepath.Join(filepath.Dir(base), "overlays", "midstream")

	step(t, "the customer applies what was written")
	kubectl(t, "apply", "-k", midstream, "--kubeconfig", kubeconfigOf(t, customerNamespace))
	for _, each := range []string{customerNamespace, workersNamespace} {
		kubectl(t, "wait", "-n", each, "deployment/vendors", "--for=condition=Available", "--timeout=2m")
		got := kubectl(t, "get", "pods", "-n", each, "-l", "app=vendors", "-o", "jsonpath={.items[0].spec.containers[0].image} {.items[0].spec.imagePullSecrets[*].name}")
		if want := fmt.Sprintf("%s/proxy/%s/vendor/%s:app %s-registry", p.address, appSlug, repository, appSlug); got != want {
			t.Errorf("in %s runs %s, want %s", each, got, want)
		}
	}
}
