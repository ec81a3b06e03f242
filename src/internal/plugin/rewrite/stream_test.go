// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/rewrite"
)

// stream sends manifests through a plan that takes every image as private.
func stream(t *testing.T, manifests string) (string, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	var files rewrite.Stage
	read, err := rewrite.ReadStream(t.Context(), &files, "standard input", strings.NewReader(manifests))
	if err != nil {
		return "", err
	}
	plan := rewrite.Plan{
		Base: read.Base, Dir: read.Dir(), LicenseID: "the-license-id",
		Proxy: rewrite.Proxy{Domain: proxyDomain, App: "my-kots-app"}, Namespace: "shop",
	}
	plan.AssumeAll()
	if _, err := plan.Stage(&files); err != nil {
		return "", err
	}
	if err := plan.Verify(t.Context(), &files); err != nil {
		return "", err
	}
	text, err := read.Rewritten(t.Context(), &files, &plan)
	if err == nil {
		left, readErr := os.ReadDir(".")
		if len(left) > 0 || readErr != nil {
			t.Errorf("it wrote %v, %v", left, readErr)
		}
	}
	return string(text), err
}

// values decodes a stream as any other program does.
func values(t *testing.T, stream string) []map[string]any {
	t.Helper()
	var all []map[string]any
	decoder := yaml.NewDecoder(strings.NewReader(stream))
	for {
		var one map[string]any
		err := decoder.Decode(&one)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, stream)
		}
		if one != nil {
			all = append(all, one)
		}
	}
}

// TestStream: names and pull Secrets change, and nothing else does: no value, no order, no object.
func TestStream(t *testing.T) {
	text, err := stream(t, `---
# Source: chart/templates/config.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: config, annotations: {a: "yes", b: "1e3", c: "0123", d: "~"}}
data:
  octal: "0755"
  block: |
    first

      second
  folded: >-
    one
    two
  empty: ""
  tab: "a\tb"
binaryData: {x: AAEC}
---
---
apiVersion: example.com/v1
kind: Numbers
metadata: {name: numbers}
spec: {big: 9223372036854775807, float: 1.50, exp: 1e3, no: false, nothing: null, list: [1, "1", true, "true"]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app.kubernetes.io/managed-by: Helm}}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      imagePullSecrets: [{name: mine}]
      containers: [{name: web, image: "quay.io/my-org/api:v1", args: ["--on", "yes"]}]
---
# nothing but a comment
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{
		{
			"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": map[string]any{"name": "config", "annotations": map[string]any{"a": "yes", "b": "1e3", "c": "0123", "d": "~"}},
			"data": map[string]any{
				"octal": "0755", "block": "first\n\n  second\n", "folded": "one two", "empty": "", "tab": "a\tb",
			},
			"binaryData": map[string]any{"x": "AAEC"},
		},
		{
			"apiVersion": "example.com/v1", "kind": "Numbers", "metadata": map[string]any{"name": "numbers"},
			"spec": map[string]any{
				"big": 9223372036854775807, "float": 1.5, "exp": 1000.0, "no": false, "nothing": nil,
				"list": []any{1, "1", true, "true"},
			},
		},
		{
			"apiVersion": "apps/v1", "kind": "Deployment",
			"metadata": map[string]any{"name": "web", "labels": map[string]any{"app.kubernetes.io/managed-by": "Helm"}},
			"spec": map[string]any{
				"selector": map[string]any{"matchLabels": map[string]any{"app": "web"}},
				"template": map[string]any{
					"metadata": map[string]any{"labels": map[string]any{"app": "web"}},
					"spec": map[string]any{
						"imagePullSecrets": []any{map[string]any{"name": secretName}, map[string]any{"name": "mine"}},
						"containers": []any{map[string]any{
							"name": "web", "image": through + "quay.io/my-org/api:v1", "args": []any{"--on", "yes"},
						}},
					},
				},
			},
		},
		{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "shop"}},
	}
	got := values(t, text)
	if diff := cmp.Diff(want, got[:len(got)-1]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if secret := got[len(got)-1]; secret["kind"] != "Secret" || secret["metadata"].(map[string]any)["namespace"] != "shop" {
		t.Errorf("behind them stands %v", secret)
	}
}

// TestStreamOfHelm4: it sends hooks with everything else, so a name may be there twice, and a Pod may run ahead
// of the release. What such a Pod pulls with has to be there by then.
func TestStreamOfHelm4(t *testing.T) {
	account := func(hook string) string {
		return "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: twice" + hook + "}\n---\n"
	}
	job := func(hook string) string {
		return "apiVersion: batch/v1\nkind: Job\nmetadata: {name: twice, annotations: {helm.sh/hook: '" + hook + "'}}\n" +
			"spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: quay.io/o/" + strings.Fields(hook)[0] + ":v1}]}}}\n---\n"
	}
	annotated := ", annotations: {helm.sh/hook: pre-install}"
	for _, tt := range []struct {
		name, manifests string
		early           bool
	}{
		{"ahead of the release", account("") + account(annotated) + account(", namespace: default") + job("pre-delete") + job("post-install") + job("pre-install"), true},
		{"behind it", account("") + account(annotated) + account(", namespace: default") + job("test") + job("post-install") + job("post-upgrade"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, err := stream(t, tt.manifests)
			if err != nil {
				t.Fatal(err)
			}
			all := values(t, text)
			if len(all) != 7 {
				t.Fatalf("%d objects:\n%s", len(all), text)
			}
			for _, object := range all[:6] {
				if object["metadata"].(map[string]any)["name"] != "twice" {
					t.Errorf("renamed: %v", object)
				}
			}
			if strings.Count(text, through+"quay.io/o/") != 3 || strings.Count(text, "imagePullSecrets") != 3 {
				t.Errorf("not every hook is rewritten:\n%s", text)
			}
			annotations, _ := all[6]["metadata"].(map[string]any)["annotations"].(map[string]any)
			if got := annotations["helm.sh/hook"] == "pre-install,pre-upgrade,pre-rollback"; got != tt.early {
				t.Errorf("the Secret has %v", annotations)
			}
		})
	}
}

func TestStreamRefuses(t *testing.T) {
	object := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
	for _, tt := range []struct{ name, manifests, want string }{
		{"nothing", "", "standard input has no Kubernetes objects"},
		{"blanks", "---\n\n---\n# x\n", "standard input has no Kubernetes objects"},
		{"no YAML", object + "---\na: b\n c: d\n", "standard input: line 6: mapping values are not allowed"},
		{"a web page", "<!DOCTYPE html>\n<html></html>\n", "standard input: line 1: a document without apiVersion and kind"},
		{"no object", object + "---\nreplicas: 1\n", "standard input: line 5: a document without apiVersion and kind"},
		{"no name", "apiVersion: v1\nkind: ConfigMap\n", "metadata.name"},
		{"a bad image", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: {image: x}}\n", "containers is not a list"},
		{"aliases", "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n" +
			"d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n", "aliases make more than 100000 nodes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := stream(t, tt.manifests)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "kubectl-lsp-rewrite") {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	broken := iotest.ErrReader(errors.New("the pipe broke"))
	var files rewrite.Stage
	if _, err := rewrite.ReadStream(t.Context(), &files, "standard input", broken); err == nil || err.Error() != "read standard input: the pipe broke" {
		t.Errorf("%v", err)
	}
	endless := io.MultiReader(strings.NewReader(object), &spaces{})
	if _, err := rewrite.ReadStream(t.Context(), &files, "standard input", endless); err == nil || !strings.Contains(err.Error(), "more than 32 MiB") {
		t.Errorf("%v", err)
	}
}

// spaces never ends.
type spaces struct{}

func (*spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '\n'
	}
	return len(p), nil
}
