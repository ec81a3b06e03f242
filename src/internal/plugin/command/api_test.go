// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/doctor"
	"github.com/local-source-proxy/local-source-proxy/src/internal/source"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/lsptest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

const (
	apiRoot = "/apis/localsource.apps.tanzu.vmware.com/v1alpha1"
	ofDev   = apiRoot + "/namespaces/dev/sources/source/proxy"
)

// namespaced gives the world's cluster the namespaced API of a real source proxy. The Service stays what it is.
func (w *world) namespaced(cfg proxytest.Config) *registrytest.Registry {
	w.Helper()
	p, registry := proxytest.Simple(w.T, cfg)
	authority := proxytest.NewAuthority(w.T)
	front := authority.FrontProxy()
	caller := p.API(authority)(&front)
	w.cluster.Aggregation = &lsptest.Aggregation{URL: caller.URL, Transport: caller.Client.Transport}
	return registry
}

// openRegistry starts "registry" and returns where it listens. stop ends it.
func (w *world) openRegistry(args ...string) (address string, stop func()) {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	out, in := io.Pipe()
	code := make(chan int)
	go func() {
		defer in.Close()
		code <- Run(ctx, append([]string{"registry", "--port", "0", "-q"}, args...), strings.NewReader(""), in, io.Discard)
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		w.Error(err)
	}
	return strings.TrimSuffix(strings.TrimSpace(line), "/source"), func() {
		cancel()
		if got := <-code; got != 0 {
			w.Errorf("registry ended with %d", got)
		}
	}
}

// pushedTag is the tag of a reference in a repository.
func (o outcome) pushedTag(t *testing.T, repository string) string {
	t.Helper()
	tag, found := strings.CutPrefix(strings.TrimSpace(o.out), repository+":")
	if !found || o.code != 0 {
		t.Errorf("exit code %d, not in %s: %s%s", o.code, repository, o.out, o.err)
	}
	tag, _, _ = strings.Cut(tag, "@")
	return tag
}

// TestPushThroughTheAPI: the API is found by one request, the push is the namespace's, and the Service is left
// alone.
func TestPushThroughTheAPI(t *testing.T) {
	w := newWorld(t)
	registry := w.namespaced(proxytest.Config{})
	push := []string{"push", "--name", "my-app", "--local-path", w.tree}
	first := w.run(push...)
	if tag := first.pushedTag(t, "registry.example.com/team/code/dev"); tag != "dev-my-app" {
		t.Errorf("tag %s", tag)
	}
	if _, there := registry.Tagged("team/code/dev", "dev-my-app"); !there {
		t.Error("the tag did not arrive")
	}
	asked := w.cluster.Aggregation.Log()
	found := 0
	for _, each := range asked {
		if each == "GET "+apiRoot {
			found++
		}
	}
	if found != 1 || asked[1] != "GET "+ofDev+"/v2/" {
		t.Errorf("%d requests for the way in, among %q", found, asked)
	}
	w.run(push...).want(t, 0, ".*", "Unchanged: dev-my-app names this source already")
	w.run(append(push, "-n", "team-b")...).pushedTag(t, "registry.example.com/team/code/team-b")
	if log := w.registry.Log(); len(log) > 0 {
		t.Errorf("the Service was asked %q", log)
	}
	w.cluster.Aggregation.Log()
	w.run(append(push, "--via", "service")...).pushedTag(t, lsptest.RegistryPath)
	if asked := w.cluster.Aggregation.Log(); len(asked) > 0 {
		t.Errorf("with --via service the API was asked %q", asked)
	}
	w.run(append(push, "--via", "api")...).pushedTag(t, "registry.example.com/team/code/dev")
	if asked := w.cluster.Aggregation.Log(); asked[0] == "GET "+apiRoot {
		t.Errorf("with --via api the way in was asked for: %q", asked)
	}
}

// TestTagsOfANamespace: where namespaces share a repository, a name with a hyphen is the namespace's own all the
// same. What is asked for by --tag is not changed: the proxy refuses what is another's, and says why.
func TestTagsOfANamespace(t *testing.T) {
	w := newWorld(t)
	registry := w.namespaced(proxytest.Config{Tenancy: source.Tags})
	push := func(name string, more ...string) outcome {
		return w.run(append([]string{"push", "--local-path", w.tree, "--name", name}, more...)...)
	}
	for name, want := range map[string]string{"web": "dev-web", "my-app": "dev_my-app", "my_app": "dev_my_app", "v1.2": "dev-v1.2"} {
		if tag := push(name).pushedTag(t, "registry.example.com/team/code"); tag != want {
			t.Errorf("name %s has tag %s, want %s", name, tag, want)
		}
		if _, there := registry.Tagged("team/code", want); !there {
			t.Errorf("tag %s did not arrive", want)
		}
	}
	push("web", "--tag", "dev-release").want(t, 0, ".*", "")
	push("web", "--tag", "other-web").want(t, 1, "", "the local source proxy answered 403 DENIED: namespace dev has no right to other-web here: its tags are dev_")
	w.run("workload", "apply", "my-app", "--local-path", w.tree, "--yes").want(t, 0, "workload.carto.run/my-app\n", "")
	if image, _ := w.stored("my-app"); !strings.HasPrefix(image, "registry.example.com/team/code:dev_my-app@") {
		t.Errorf("image %s", image)
	}
}

// FuzzTagIsOfTheNamespace: the server says so of the default tag, whatever the name.
func FuzzTagIsOfTheNamespace(f *testing.F) {
	for _, namespace := range []string{"dev", "team-a", "a-b-c", "sha256", "sha512", strings.Repeat("a", 63), "0"} {
		for _, name := range []string{"web", "my-app", "my_app", "a--b", "-", "_", ".", "A-b", "a.b-c", strings.Repeat("0", 64), strings.Repeat("0", 64) + ".imgpkg", strings.Repeat("f", 128)} {
			f.Add(namespace, name)
		}
	}
	f.Fuzz(func(t *testing.T, namespace, name string) {
		if len(namespace) == 0 || len(namespace) > 63 || strings.Trim(namespace, "-") != namespace ||
			strings.Trim(namespace, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || name == "" {
			return // no namespace can have that name, and no command takes the other
		}
		tag, err := tagOf(namespace, name, doctor.TenancyTags)
		if err == nil && source.Owner(tag) != namespace {
			t.Errorf("tag %q of namespace %q and name %q belongs to %q", tag, namespace, name, source.Owner(tag))
		}
		if plain, err := tagOf(namespace, name, ""); err == nil && plain != namespace+"-"+name {
			t.Errorf("tag %q without tenancy", plain)
		}
	})
}

// TestApplyThroughTheAPI: what one way in has set is still the proxy's for the other, and what neither has set is
// not touched by either (spec-local-source-proxy, "Bypass").
func TestApplyThroughTheAPI(t *testing.T) {
	w := newWorld(t)
	w.namespaced(proxytest.Config{})
	apply := func(via string) (image, annotation string) {
		t.Helper()
		w.write("main.go", "package "+via+strconv.Itoa(len(via))+"\n")
		w.run("workload", "apply", "web", "--local-path", w.tree, "--yes", "--via", via).want(t, 0, "workload.carto.run/web\n", "The source goes through the proxy: ")
		return w.stored("web")
	}
	for _, step := range []struct{ via, repository string }{
		{"service", lsptest.RegistryPath}, {"auto", "registry.example.com/team/code/dev"}, {"service", lsptest.RegistryPath}, {"api", "registry.example.com/team/code/dev"},
	} {
		if image, annotation := apply(step.via); !strings.HasPrefix(image, step.repository+":dev-web@sha256:") || annotation != image {
			t.Errorf("via %s: image %s, annotation %s", step.via, image, annotation)
		}
	}
	w.run("workload", "apply", "web", "-f", "-", "--yes").want(t, 1, "", "")
	w.api.Store("dev", "mine", map[string]any{"apiVersion": "carto.run/v1alpha1", "kind": "Workload", "spec": map[string]any{
		"source": map[string]any{"image": "127.0.0.1:1/mine/app:main"},
	}})
	w.cluster.Aggregation.Log()
	w.run("workload", "apply", "mine", "--local-path", w.tree, "--yes").want(t, 1, "", "past the proxy: the Workload has a source image that the proxy did not set")
	if asked := w.cluster.Aggregation.Log(); len(asked) > 0 {
		t.Errorf("past the proxy, the API was asked %q", asked)
	}
	file := filepath.Join(t.TempDir(), "workload.yaml")
	if err := os.WriteFile(file, []byte("apiVersion: carto.run/v1alpha1\nkind: Workload\nmetadata: {name: web, namespace: of-the-file}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.run("workload", "apply", "-f", file, "--local-path", w.tree, "--yes").want(t, 0, "workload.carto.run/web\n", "image: registry.example.com/team/code/of-the-file:of-the-file-web@")
}

// TestRegistryThroughTheAPI: other clients push for the namespace, though Locations name a ClusterIP.
func TestRegistryThroughTheAPI(t *testing.T) {
	w := newWorld(t)
	registry := w.namespaced(proxytest.Config{})
	address, stop := w.openRegistry("-n", "team-c")
	defer stop()
	layer := []byte("a layer")
	send := func(method, target string, body []byte) *http.Response {
		t.Helper()
		if !strings.HasPrefix(target, "http://") {
			target = "http://" + address + target
		}
		req, err := http.NewRequestWithContext(t.Context(), method, target, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	next := send("POST", "/v2/source/blobs/uploads/", nil).Header.Get("Location")
	if !strings.HasPrefix(next, "/v2/source/blobs/uploads/") {
		t.Fatalf("Location %s", next)
	}
	next = send("PATCH", next, layer).Header.Get("Location")
	done := send("PUT", next+"?digest="+registrytest.Digest(layer), nil)
	if done.StatusCode != http.StatusCreated || done.Header.Get("Location") != "/v2/source/blobs/"+registrytest.Digest(layer) {
		t.Errorf("%d, Location %s", done.StatusCode, done.Header.Get("Location"))
	}
	registry.Holds("team/code/team-c", layer)
	send("PUT", "/v2/source/manifests/v1", []byte(`{"schemaVersion":2}`))
	send("PUT", "/v2/source/manifests/v2", []byte(`{"schemaVersion":2}`))
	if page := send("GET", "/v2/source/tags/list?n=1", nil); !strings.HasPrefix(page.Header.Get("Link"), "</v2/source/tags/list?") {
		t.Errorf("%d, Link %s", page.StatusCode, page.Header.Get("Link"))
	}
}

// TestSupportBundleThroughTheAPI has the health and the steps of the way in that was asked for.
func TestSupportBundleThroughTheAPI(t *testing.T) {
	w := newWorld(t)
	w.namespaced(proxytest.Config{})
	w.api.Core, w.api.Pods = true, &lsptest.Pods{}
	for via, target := range map[string]string{"auto": "registry.example.com/team/code/dev", "service": lsptest.RegistryPath} {
		file := filepath.Join(t.TempDir(), "out.tar.gz")
		w.run("support-bundle", "-f", file, "--via", via).want(t, 0, file+"\n", "")
		files := unpack(t, file)
		if !strings.Contains(files["health.json"], `"target": "`+target+`"`) || !strings.Contains(files["doctor.json"], `"name": "way in"`) {
			t.Errorf("%s: health %s, doctor %s", via, files["health.json"], files["doctor.json"])
		}
	}
}
