// SPDX-License-Identifier: Apache-2.0

package command

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/pack"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/lsptest"
)

// TestPushDryRun: it lists what a push then sends, to the digest, and asks nobody.
func TestPushDryRun(t *testing.T) {
	w := newWorld(t)
	w.write(".tanzuignore", "*.log\nempty/\n")
	w.write("a.log", "x")
	script := filepath.Join(w.tree, "run")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	dryRun := []string{"push", "--name", "web", "--local-path", w.tree, "--dry-run"}
	w.run(dryRun...).want(t, 0,
		`FILE +SIZE +MODE *\n\.tanzuignore +13 B +- *\nmain\.go +13 B +- *\nrun +10 B +executable *\n`, "Packed 3 files, 36 B: ")
	out := w.run(append(dryRun, "-o", "json", "--tag", "v1", "--annotation", "a=b")...)
	var got unsent
	if err := json.Unmarshal([]byte(out.out), &got); err != nil || out.code != 0 {
		t.Fatalf("%v: %+v", err, out)
	}
	want := []pack.File{{Path: ".tanzuignore", Size: 13}, {Path: "main.go", Size: 13}, {Path: "run", Size: 10, Executable: true}}
	if diff := cmp.Diff(want, got.Content); diff != "" || got.Files != 3 || got.Bytes != 36 || got.Tag != "dev-web" || got.Also[0] != "v1" {
		t.Errorf("%+v, content (-want +got):\n%s", got, diff)
	}
	if log := w.registry.Log(); len(log) > 0 {
		t.Errorf("--dry-run asked: %v", log)
	}
	t.Setenv("KUBECONFIG", "/nonexistent") // nobody to ask
	w.run(dryRun...).want(t, 0, "FILE.*", "Nothing was sent.")
	t.Setenv("KUBECONFIG", w.cluster.Kubeconfig(t))

	sent := w.run("push", "--name", "web", "--local-path", w.tree, "--annotation", "a=b", "-o", "json")
	var result pushed
	if err := json.Unmarshal([]byte(sent.out), &result); err != nil || result.Digest != got.Digest {
		t.Errorf("--dry-run says %s, the push %+v, %v", got.Digest, result, err)
	}
	if layer := manifestOf(t, w, result.Digest).Layers[0]; layer.Size != got.Size {
		t.Errorf("--dry-run says %d bytes, the layer has %d", got.Size, layer.Size)
	}
	w.run(append(dryRun, "--lock-output", "x")...).want(t, 2, "", "a lock is for an image that was pushed")
	w.run("push", "--name", "web", "--lock-output", "").want(t, 2, "", "--lock-output is empty: name a file")
}

func manifestOf(t *testing.T, w *world, digest string) *v1.Manifest {
	t.Helper()
	manifest, err := v1.ParseManifest(strings.NewReader(string(w.registry.Manifest(digest))))
	if err != nil {
		t.Fatal(err)
	}
	return manifest
}

// TestPushTags: further tags name the same image. Only those that do not yet are written.
func TestPushTags(t *testing.T) {
	w := newWorld(t)
	args := []string{"push", "--name", "web", "--local-path", w.tree, "--tag", "v1", "--tag", "dev-web-2"}
	w.run(args...).want(t, 0, reference+"\n", "uploaded.")
	for _, tag := range []string{"v1", "dev-web-2"} {
		if diff := cmp.Diff(string(w.registry.Manifest("dev-web")), string(w.registry.Manifest(tag))); diff != "" {
			t.Errorf("tag %s (-dev-web +%s):\n%s", tag, tag, diff)
		}
	}
	w.run(args...).want(t, 0, reference+"\n", "Unchanged: dev-web names this source already")
	w.registry.Log()
	w.run(append(args, "--tag", "v3")...).want(t, 0, reference+"\n", "the registry had all of it")
	var written []string
	for _, line := range w.registry.Log() {
		if strings.HasPrefix(line, "PUT ") && !strings.HasSuffix(line, ".imgpkg") {
			written = append(written, line)
		}
	}
	if diff := cmp.Diff([]string{"PUT /v2/source/manifests/v3"}, written); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "a/b", "a:b", ".a", strings.Repeat("a", 129)} {
		w.run("push", "--name", "web", "--local-path", w.tree, "--tag", bad).want(t, 2, "", "use at most 128 letters")
	}
}

// TestPushTagsRepeated: a tag that is named again, or that the push sets anyway, counts once.
func TestPushTagsRepeated(t *testing.T) {
	w := newWorld(t)
	push := []string{"push", "--name", "web", "--local-path", w.tree, "-o", "json", "--tag", "v1", "--tag", "dev-web", "--tag", "v2", "--tag", "v1"}
	for _, args := range [][]string{append(push, "--dry-run"), push} {
		out := w.run(args...)
		var result struct {
			Also []string `json:"additionalTags"`
		}
		if err := json.Unmarshal([]byte(out.out), &result); err != nil {
			t.Fatalf("%v: %+v", err, out)
		}
		if diff := cmp.Diff([]string{"v1", "v2"}, result.Also); diff != "" {
			t.Errorf("additional tags (-want +got):\n%s", diff)
		}
	}
	written := map[string]int{}
	for _, line := range w.registry.Log() {
		if tag, ok := strings.CutPrefix(line, "PUT /v2/source/manifests/"); ok {
			written[tag]++
		}
	}
	for _, tag := range []string{"dev-web", "v1", "v2"} {
		if written[tag] != 1 {
			t.Errorf("%s was written %d times", tag, written[tag])
		}
	}
}

// TestPushLock: the form is tested with imgpkg itself in tests/plugin.
func TestPushLock(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "lock.yml")
	out := w.run("push", "--name", "web", "--local-path", w.tree, "--lock-output", file)
	out.want(t, 0, reference+"\n", "")
	_, digest, _ := strings.Cut(strings.TrimSpace(out.out), "@")
	content, err := os.ReadFile(file)
	want := "---\napiVersion: imgpkg.carvel.dev/v1alpha1\nimages:\n- image: " + lsptest.RegistryPath + "@" + digest + "\nkind: ImagesLock\n"
	if diff := cmp.Diff(want, string(content)); err != nil || diff != "" {
		t.Errorf("%v, lock (-want +got):\n%s", err, diff)
	}
	w.write("main.go", "changed\n")
	before := w.registry.Received()
	for file, want := range map[string]string{
		filepath.Join(t.TempDir(), "no", "lock.yml"): "no such file or directory", t.TempDir(): "it is a directory; name a file",
	} {
		w.run("push", "--name", "web", "--local-path", w.tree, "--lock-output", file).want(t, 1, "", want)
	}
	if w.registry.Received() != before {
		t.Error("something was pushed although its lock cannot be written")
	}
}

// TestPushAnnotations: they are OCI's, the blobs stay, and without them nothing changes.
func TestPushAnnotations(t *testing.T) {
	w := newWorld(t)
	push := func(extra ...string) pushed {
		t.Helper()
		out := w.run(append([]string{"push", "--name", "web", "--local-path", w.tree, "-o", "json"}, extra...)...)
		var result pushed
		if err := json.Unmarshal([]byte(out.out), &result); err != nil || out.code != 0 {
			t.Fatalf("%v: %+v", err, out)
		}
		return result
	}
	plain := push()
	annotated := push("--annotation", "org.example.a=b=c", "--annotation", "org.example.d=")
	if again := push(); again.Digest != plain.Digest || annotated.Digest == plain.Digest || annotated.Uploaded != 0 {
		t.Errorf("plain %+v, annotated %+v, plain again %+v", plain, annotated, again)
	}
	manifest, before := manifestOf(t, w, annotated.Digest), manifestOf(t, w, plain.Digest)
	want := map[string]string{"org.example.a": "b=c", "org.example.d": ""}
	if diff := cmp.Diff(want, manifest.Annotations); diff != "" || len(before.Annotations) > 0 {
		t.Errorf("annotations %v before, and (-want +got):\n%s", before.Annotations, diff)
	}
	if manifest.MediaType != types.OCIManifestSchema1 || manifest.Config.MediaType != types.OCIConfigJSON ||
		manifest.Layers[0].MediaType != types.OCILayer || before.MediaType != types.DockerManifestSchema2 {
		t.Errorf("types %+v, before %s", manifest, before.MediaType)
	}
	for _, bad := range []string{"a", "a-", "=b", ""} {
		w.run("push", "--name", "web", "--annotation", bad).want(t, 2, "", "write name=value")
	}
}

// TestPushTimeout: the whole push has one end, told from Ctrl-C by text and exit code.
func TestPushTimeout(t *testing.T) {
	w := newWorld(t)
	args := []string{"push", "--name", "web", "--local-path", w.tree, "--timeout"}
	w.run(append(args, "0")...).want(t, 0, reference+"\n", "")
	w.write("main.go", "changed\n")
	var all atomic.Bool
	w.registry.Fail = func(_ http.ResponseWriter, r *http.Request) bool {
		if !all.Load() && !strings.Contains(r.URL.Path, "/blobs/uploads/") {
			return false
		}
		<-r.Context().Done()
		panic(http.ErrAbortHandler) // net/http would answer 200, and the client may still read it
	}
	w.run(append(args, "3s")...).want(t, 1, "", "the time was up before everything was sent; this begins anew:\n  kubectl lsp push --name web")
	all.Store(true)
	w.run(append(args, "50ms")...).want(t, 1, "", "kubectl lsp: push: it did not end within --timeout 50ms")
	w.run(append(args, "-1s")...).want(t, 2, "", "--timeout -1s: write a duration such as 10m")
}

// TestPushTimeoutNamesTheCause of the last try, before and while the upload goes.
func TestPushTimeoutNamesTheCause(t *testing.T) {
	w := newWorld(t)
	for path, want := range map[string]string{
		"/v2/":            "kubectl lsp: push: it did not end within --timeout 2s: ask the proxy: ",
		"/blobs/uploads/": "kubectl lsp: the time was up before everything was sent (upload ",
	} {
		w.registry.Fail = func(out http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, path) {
				return false
			}
			lsptest.OCIError(out, 503, "UNAVAILABLE", "a volcano has broken out")
			return true
		}
		out := w.run("push", "--name", "web", "--local-path", w.tree, "--quiet", "--timeout", "2s")
		if out.want(t, 1, "", want); !strings.Contains(out.err, "volcano") {
			t.Errorf("stderr: %s", out.err)
		}
	}
}
