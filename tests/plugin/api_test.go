// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"errors"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// newNamespacedPlace is a place whose cluster has the namespaced API. The developer may push for dev and team-a.
func newNamespacedPlace(t *testing.T) (*place, *harness.Aggregation) {
	t.Helper()
	p := newPlaceWith(t, map[string]any{"allow_sub_repositories": true})
	return p, p.api.Aggregate(p.server.Host, "dev", "team-a")
}

// arrived fails the test unless the namespace's repository has the tag with the digest.
func (p *place) arrived(t *testing.T, namespace, tag, digest string) {
	t.Helper()
	reference := harness.Reference(t, p.upstream.Host, harness.Repository+"/"+namespace, tag)
	there, err := remote.Head(reference, p.upstream.Options(t)...)
	if err != nil || there.Digest.String() != digest {
		t.Errorf("%s: %v, %v; want %s", reference, there, err, digest)
	}
}

// TestNamespacedAPI: the built plugin finds the API and pushes for the namespace, and so do other clients through
// "registry".
func TestNamespacedAPI(t *testing.T) {
	t.Parallel()
	p, _ := newNamespacedPlace(t)
	fill(t, p.tree)
	reference, _ := p.push(t)
	if !strings.HasPrefix(reference, p.upstream.Host+"/"+harness.Repository+"/dev:dev-web@sha256:") {
		t.Errorf("reference %s", reference)
	}
	p.arrived(t, "dev", "dev-web", digestOf(t, reference))
	if _, said := p.push(t); !strings.Contains(said, "nothing was uploaded") {
		t.Errorf("the same again: %s", said)
	}
	if out, _ := p.run(t, plugin(), "health", "-n", "team-a"); !strings.Contains(out, "via: api\n") || !strings.Contains(out, "namespace: team-a\n") {
		t.Errorf("health: %s", out)
	}

	_, repository := harness.OpenRegistry(t, p.command(t.Context(), plugin(), "registry", "--port", "0", "-n", "team-a"))
	image := harness.Image(t)
	dir := harness.Layout(t, func(path layout.Path) error { return path.AppendImage(image, harness.RefName("x")) })
	p.run(t, harness.Tool(t, "crane"), "push", dir, repository+":crane")
	p.arrived(t, "team-a", "crane", harness.Digest(t, image))
	p.run(t, harness.System(t, "skopeo", "skopeo"), "--insecure-policy", "copy", "--dest-tls-verify=false", "--dest-no-creds",
		"oci:"+dir+":x", "docker://"+repository+":skopeo")
	p.arrived(t, "team-a", "skopeo", harness.Digest(t, image))
}

// TestMissingRightIsShownByKubectl: the command that the error names asks the API server for the very right that
// the push lacks.
func TestMissingRightIsShownByKubectl(t *testing.T) {
	t.Parallel()
	kubectl := harness.System(t, "kubectl", "kubernetes-client")
	p, layer := newNamespacedPlace(t)
	fill(t, p.tree)
	for _, args := range [][]string{
		{"push", "--name", "web", "--local-path", p.tree, "-n", "team-b"}, {"registry", "--port", "0", "-n", "team-b"},
	} {
		code, said := p.failing(t, args...)
		if code != 1 || strings.Count(said, "\n") != 1 || !strings.Contains(said, "ClusterRole local-source-proxy-push") {
			t.Errorf("exit code %d:\n%s", code, said)
		}
		command := regexp.MustCompile("`kubectl (auth can-i [^`]*)`").FindStringSubmatch(said)
		if command == nil {
			t.Fatalf("no command in %s", said)
		}
		before := len(layer.Reviews())
		cmd := p.command(t.Context(), kubectl, strings.Fields(command[1])...)
		out, err := cmd.CombinedOutput()
		exit, refused := errors.AsType[*exec.ExitError](err)
		if !refused || exit.ExitCode() != 1 || strings.TrimSpace(string(out)) != "no" { // no warning either
			t.Errorf("%s: %v\n%s", cmd, err, out)
		}
		want := []map[string]string{{
			"group": "localsource.apps.tanzu.vmware.com", "resource": "sources", "subresource": "proxy", "name": "source",
			"namespace": "team-b", "verb": "get",
		}}
		got := layer.Reviews()[before:]
		for _, each := range got {
			delete(each, "version") // RBAC does not look at it
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("what kubectl asked (-want +got):\n%s", diff)
		}
	}
	out, _ := p.run(t, kubectl, "auth", "can-i", "create", "sources.localsource.apps.tanzu.vmware.com/source", "--subresource=proxy", "-n", "team-a")
	if strings.TrimSpace(out) != "yes" {
		t.Errorf("for team-a kubectl says %s", out)
	}
}

// TestNamespacedAPIIsDown: the Service serves instead, with a note. Without it there is one error.
func TestNamespacedAPIIsDown(t *testing.T) {
	t.Parallel()
	p, layer := newNamespacedPlace(t)
	fill(t, p.tree)
	layer.SetDown(true)
	const note = "the namespaced API does not work: 503: service unavailable; "
	reference, said := p.push(t)
	if strings.Count(said, note) != 1 || !strings.Contains(said, "going through the Service instead") {
		t.Errorf("it says %s", said)
	}
	p.upstream.AssertArrived(t, "dev-web", digestOf(t, reference))
	code, said := p.failing(t, "push", "--name", "web", "--local-path", p.tree, "--via", "api")
	if last := said[strings.LastIndex(strings.TrimSpace(said), "\n")+1:]; code != 1 || !strings.Contains(last, "the API server does not reach the namespaced API: service unavailable") {
		t.Errorf("exit code %d:\n%s", code, said)
	}
	if code, said := p.failing(t, "push", "--name", "web", "--via", "both"); code != 2 || strings.Count(said, "\n") != 1 {
		t.Errorf("exit code %d:\n%s", code, said)
	}
}
