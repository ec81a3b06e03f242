// SPDX-License-Identifier: Apache-2.0

package command

import (
	"io"
	"log"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/workload"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/lsptest"
)

func (w *world) stored(name string) (image, annotation string) {
	w.Helper()
	object := &unstructured.Unstructured{Object: w.api.Workload("dev", name)}
	if object.Object == nil {
		return "", ""
	}
	image, _, _ = unstructured.NestedString(object.Object, "spec", "source", "image")
	return image, object.GetAnnotations()[workload.Annotation]
}

func TestApply(t *testing.T) {
	w := newWorld(t)
	apply := func(extra ...string) outcome {
		return w.run(append([]string{"workload", "apply", "web", "--local-path", w.tree}, extra...)...)
	}

	apply("--dry-run").want(t, 0, "apiVersion: carto.run/v1alpha1\nkind: Workload\n.*", "Packed")
	if w.registry.Received() != 0 || w.api.Workload("dev", "web") != nil {
		t.Fatal("--dry-run pushed or stored something")
	}
	apply().want(t, 1, "", "nobody answered; say --yes to go on without asking")
	w.answer("no\n", "workload", "apply", "web", "--local-path", w.tree).want(t, 1, "", "Nothing was changed.")
	if w.registry.Received() != 0 || w.api.Workload("dev", "web") != nil {
		t.Fatal("something was pushed or stored without consent")
	}

	w.answer("y\n", "workload", "apply", "web", "--local-path", w.tree).want(t, 0, "workload.carto.run/web\n", "Create Workload web in namespace dev? [y/N]")
	image, annotation := w.stored("web")
	if !strings.HasPrefix(image, lsptest.RegistryPath+":dev-web@sha256:") || annotation != image {
		t.Errorf("image %q, annotation %q", image, annotation)
	}
	apply().want(t, 0, "workload.carto.run/web\n", "Workload web is unchanged.")

	w.write("main.go", "package changed\n")
	out := apply("--yes", "--env", "A=b")
	out.want(t, 0, "workload.carto.run/web\n", "+  - name: A\n")
	if !strings.Contains(out.err, "-    image: "+image+"\n") {
		t.Errorf("the diff does not show the old image:\n%s", out.err)
	}
	if next, again := w.stored("web"); next == image || again != next {
		t.Errorf("image %q, annotation %q after a change of %q", next, again, image)
	}

	w.run("workload", "apply", "web", "--git-repo", "https://git.example.com/web", "--git-branch", "main", "-y").want(t, 0, "workload.carto.run/web\n", "+      url: https://git.example.com/web")
	if image, annotation := w.stored("web"); image != "" || annotation != "" {
		t.Errorf("image %q, annotation %q after the move to git", image, annotation)
	}
}

func TestApplyPastTheProxy(t *testing.T) {
	w := newWorld(t)
	own := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer own.Close()
	host := strings.TrimPrefix(own.URL, "http://")
	t.Setenv("DOCKER_CONFIG", t.TempDir())

	w.run("workload", "apply", "web", "--local-path", w.tree, "--source-image", host+"/mine/web:main", "--yes").
		want(t, 0, "workload.carto.run/web\n", "The source goes straight to "+host+"/mine/web:main, past the proxy: --source-image is given.")
	image, annotation := w.stored("web")
	if !strings.HasPrefix(image, host+"/mine/web:main@sha256:") || annotation != "" {
		t.Errorf("image %q, annotation %q", image, annotation)
	}
	w.write("main.go", "package changed\n")
	w.run("workload", "apply", "web", "--local-path", w.tree, "--yes").
		want(t, 0, "workload.carto.run/web\n", "past the proxy: the Workload has a source image that the proxy did not set.")
	next, annotation := w.stored("web")
	if next == image || !strings.HasPrefix(next, host+"/mine/web:main@sha256:") || annotation != "" {
		t.Errorf("image %q, annotation %q", next, annotation)
	}
	for _, line := range w.registry.Log() {
		t.Errorf("the proxy was asked: %s", line)
	}
	w.run("workload", "apply", "web", "--local-path", w.tree, "--yes").want(t, 0, "workload.carto.run/web\n", "Unchanged: main names this source already")
}

// Somebody else changes the Workload between the look and the store.
func TestApplyConflict(t *testing.T) {
	w := newWorld(t)
	w.api.Store("dev", "web", map[string]any{"apiVersion": "carto.run/v1alpha1", "kind": "Workload", "spec": map[string]any{}})
	w.registry.OnPatch = func() {
		w.api.Store("dev", "web", map[string]any{"apiVersion": "carto.run/v1alpha1", "kind": "Workload", "spec": map[string]any{"image": "x"}})
	}
	w.run("workload", "apply", "web", "--local-path", w.tree, "--yes").want(t, 1, "", "somebody else changed it in the meantime; run the command again")
}

// TestApplyAsksTheAPIServerFirst: what it would refuse is refused before the upload and before the question.
func TestApplyAsksTheAPIServerFirst(t *testing.T) {
	w := newWorld(t)
	tries := 0
	w.api.Refuse = func(_ map[string]any, dryRun bool) string {
		tries++
		if !dryRun {
			t.Error("the Workload was sent to be kept")
		}
		return "admission webhook denied the request: no such type"
	}
	out := w.run("workload", "apply", "web", "--local-path", w.tree)
	out.want(t, 1, "", "store Workload web: admission webhook denied the request: no such type")
	if tries != 1 || w.registry.Received() != 0 || strings.Contains(out.err, "[y/N]") {
		t.Errorf("%d tries, %d bytes pushed\n%s", tries, w.registry.Received(), out.err)
	}
	w.api.Refuse = func(_ map[string]any, dryRun bool) string {
		if dryRun {
			return `admission webhook "w.example.com" does not support dry run`
		}
		return ""
	}
	w.run("workload", "apply", "web", "--local-path", w.tree, "--yes").want(t, 0, "workload.carto.run/web\n", "Pushed")
}

// TestApplyLabels: several in one flag, as the Apps CLI takes them. Values of the environment may have
// commas.
func TestApplyLabels(t *testing.T) {
	w := newWorld(t)
	args := []string{"workload", "apply", "web", "--image", "x", "--yes", "--env", "LIST=a=b,c=d"}
	w.run(append(args, "--label", "a=b,c=d", "--label", "e=f")...).want(t, 0, "workload.carto.run/web\n", "")
	w.run(append(args, "--label", "a-,c=g")...).want(t, 0, "workload.carto.run/web\n", "")
	object := unstructured.Unstructured{Object: w.api.Workload("dev", "web")}
	got := object.GetLabels()
	delete(got, workload.TypeLabel)
	if diff := cmp.Diff(map[string]string{"c": "g", "e": "f"}, got); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	env, _, _ := unstructured.NestedSlice(object.Object, "spec", "env")
	if diff := cmp.Diff([]any{map[string]any{"name": "LIST", "value": "a=b,c=d"}}, env); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	w.run(append(args, "--label", "a=b,")...).want(t, 2, "", `--label "": write name=value`)
}

// TestApplyDetails: the flags that the Apps CLI has too, and the fields that it writes.
func TestApplyDetails(t *testing.T) {
	w := newWorld(t)
	apply := []string{"workload", "apply", "web", "--image", "x", "--yes"}
	w.run(append(apply, "--annotation", "a=1", "--annotation", "b=2", "--build-env", "BP=17", "--param", "plain=text",
		"--param-yaml", `server={"port": 8080}`, "--service-ref", "db=services.example.com/v1:MySQL:prod",
		"--limit-cpu", "500m", "--limit-memory", "1Gi", "--request-cpu", "100m")...).want(t, 0, "workload.carto.run/web\n", "")
	want := map[string]any{
		"image": "x",
		"build": map[string]any{"env": []any{map[string]any{"name": "BP", "value": "17"}}},
		"params": []any{
			map[string]any{"name": "plain", "value": "text"},
			map[string]any{"name": "server", "value": map[string]any{"port": 8080.0}},
			map[string]any{"name": "annotations", "value": map[string]any{"a": "1", "b": "2"}},
		},
		"serviceClaims": []any{map[string]any{
			"name": "db", "ref": map[string]any{"apiVersion": "services.example.com/v1", "kind": "MySQL", "name": "prod"},
		}},
		"resources": map[string]any{
			"limits": map[string]any{"cpu": "500m", "memory": "1Gi"}, "requests": map[string]any{"cpu": "100m"},
		},
	}
	if diff := cmp.Diff(want, w.api.Workload("dev", "web")["spec"]); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	w.run(append(apply, "--annotation", "a-", "--build-env", "BP-", "--param-yaml", "server-", "--service-ref", "db-", "--limit-cpu", "")...).
		want(t, 0, "workload.carto.run/web\n", "")
	spec, _ := w.api.Workload("dev", "web")["spec"].(map[string]any)
	params := []any{
		map[string]any{"name": "plain", "value": "text"},
		map[string]any{"name": "annotations", "value": map[string]any{"b": "2"}},
	}
	limits, _, _ := unstructured.NestedMap(spec, "resources", "limits")
	if diff := cmp.Diff(params, spec["params"]); diff != "" || spec["serviceClaims"] != nil || len(limits) != 1 {
		t.Errorf("spec %v, params (-want +got):\n%s", spec, diff)
	}
	for flag, want := range map[string]string{
		"--limit-cpu=much":  `--limit-cpu "much": write a quantity such as 500m or 1Gi`,
		"--service-ref=a=b": "--service-ref a=b: write name=apiVersion:kind:name",
		"--param-yaml=a={":  "--param-yaml a: ",
		"--build-env=x":     `--build-env "x": write name=value`,
		"--request-cpu=2":   "--request-cpu 2 is more than --limit-cpu 1",
	} {
		w.run(append(apply, "--limit-cpu=1", flag)...).want(t, 2, "", want)
	}
}

// TestApplyFile: a file says the rest, flags count before it, and what it does not say stays.
func TestApplyFile(t *testing.T) {
	w := newWorld(t)
	const text = "apiVersion: carto.run/v1alpha1\nkind: Workload\nmetadata: {name: web, labels: {a: b}}\n" +
		"spec:\n  source: {git: {url: 'https://git.example.com/web', ref: {branch: main}}}\n  env: [{name: A, value: b}]\n"
	w.write("workload.yaml", text)
	file := filepath.Join(w.tree, "workload.yaml")
	w.run("workload", "apply", "-f", file, "--yes").want(t, 0, "workload.carto.run/web\n", "+      url: https://git.example.com/web")
	w.run("workload", "apply", "-f", file, "--yes").want(t, 0, "workload.carto.run/web\n", "Workload web is unchanged.")
	w.run("workload", "apply", "web", "--service-account", "builder", "--yes").want(t, 0, "workload.carto.run/web\n", "")
	w.answer(text, "workload", "apply", "-f", "-", "--local-path", w.tree, "--env", "A=c", "--yes").want(t, 0, "workload.carto.run/web\n", "")
	image, annotation := w.stored("web")
	spec, _ := w.api.Workload("dev", "web")["spec"].(map[string]any)
	if image == "" || annotation != image || spec["serviceAccountName"] != "builder" {
		t.Errorf("image %q, annotation %q, spec %v", image, annotation, spec)
	}
	if diff := cmp.Diff([]any{map[string]any{"name": "A", "value": "c"}}, spec["env"]); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	w.run("workload", "apply", "other", "-n", "team", "-f", file, "--yes").want(t, 0, "workload.carto.run/other\n", "")
	if w.api.Workload("team", "other") == nil {
		t.Error("the command line's name and namespace do not count")
	}
	for content, want := range map[string]string{
		"kind: Deployment\n": "not a Workload of carto.run/v1alpha1",
		"a: b: c\n":          "read the YAML",
		"apiVersion: carto.run/v1alpha1\nkind: Workload\n": "has no name: write metadata.name",
	} {
		w.answer(content, "workload", "apply", "-f", "-", "--yes").want(t, 1, "", want)
	}
	w.run("workload", "apply", "-f", "/no/such").want(t, 1, "", "read the Workload: ")
}

// TestApplyWait: a status counts that is about what was stored.
func TestApplyWait(t *testing.T) {
	w := newWorld(t)
	status := func(ready string, seen int64) {
		w.api.Store("dev", "web", map[string]any{
			"apiVersion": "carto.run/v1alpha1", "kind": "Workload",
			"metadata": map[string]any{"name": "web", "namespace": "dev", "generation": int64(2)},
			"spec":     map[string]any{"image": "x"},
			"status": map[string]any{"observedGeneration": seen, "conditions": []any{
				map[string]any{"type": "Ready", "status": ready, "message": "said the supply chain"},
			}},
		})
	}
	apply := []string{"workload", "apply", "web", "--image", "x", "--yes", "--wait", "--wait-timeout", "500ms"}
	status("True", 2)
	w.run(apply...).want(t, 0, "workload.carto.run/web\n", "Waiting until Workload web is ready.")
	status("False", 2)
	w.run(apply...).want(t, 1, "", "workload web is not ready: said the supply chain")
	status("True", 1)
	w.run(apply...).want(t, 1, "", "workload web is not ready after 500ms: said the supply chain")
	w.run("workload", "apply", "web", "--wait-timeout", "0s").want(t, 2, "", "--wait-timeout 0s")
}

func TestWorkloadGetListDelete(t *testing.T) {
	w := newWorld(t)
	w.run("workload", "list").want(t, 0, "", "No Workloads in namespace dev.")
	w.run("workload", "apply", "web", "--local-path", w.tree, "--yes", "--app", "shop").want(t, 0, ".*", "")
	object := w.api.Workload("dev", "web")
	object["status"] = map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": "False", "message": "no build yet"}}}
	w.api.Store("dev", "web", object)
	w.run("workload", "list").want(t, 0, "NAME +TYPE +APP +READY +SOURCE +AGE *\nweb +web +shop +False +registry.example.com.*\n", "")
	w.run("workload", "ls", "-o", "name").want(t, 0, "workload.carto.run/web\n", "")
	w.run("workload", "list", "-l", "=").want(t, 2, "", `--selector "="`)
	w.run("workload", "get", "web").want(t, 0, "Name: +web\n.*Pushed: +yes .*Ready: +False\nMessage: +no build yet\n", "")
	w.run("workload", "get", "web", "-o", "yaml").want(t, 0, ".*kind: Workload\n.*", "")
	w.run("workload", "get", "other").want(t, 1, "", "get Workload other in namespace dev: ")
	w.run("workload", "delete", "web").want(t, 1, "", "nobody answered; say --yes")
	w.run("workload", "delete", "web", "--yes").want(t, 0, "workload.carto.run/web deleted\n", "")
	w.run("workload", "delete", "web", "--yes").want(t, 1, "", "get Workload web in namespace dev: ")
}

func TestApplyPrintsObjects(t *testing.T) {
	w := newWorld(t)
	w.run("workload", "apply", "web", "--image", "prebuilt", "--type", "server", "--app", "shop", "--yes", "-o", "yaml").
		want(t, 0, "apiVersion: carto.run/v1alpha1\nkind: Workload\nmetadata:\n  labels:\n    app.kubernetes.io/part-of: shop\n    apps.tanzu.vmware.com/workload-type: server\n  name: web\n.*image: prebuilt\n.*", "+  image: prebuilt")
}
