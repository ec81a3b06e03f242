// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/rewrite"
)

// TestKustomizesErrors: the cause comes first, and the whole of it after, in one line. DIR is the base.
func TestKustomizesErrors(t *testing.T) {
	p := basePod("a")
	listed := func(resources string) string { return "resources: [" + resources + "]\n" }
	tests := []struct {
		name  string
		files map[string]string
		want  string // what it begins with
		whole string // what it also has; empty: nothing else
	}{
		{"a file that is not there", map[string]string{"kustomization.yaml": listed("gone.yaml")},
			"kustomize cannot build DIR: a kustomization names DIR/gone.yaml, which does not exist (kustomize says: ", "accumulating resources from 'gone.yaml'"},
		{"one of a base's base", map[string]string{"kustomization.yaml": listed("sub"), "sub/kustomization.yaml": listed("gone.yaml")},
			"kustomize cannot build DIR: a kustomization names DIR/sub/gone.yaml, which does not exist (kustomize says: ", "recursed accumulation of path 'DIR/sub'"},
		{"a component", map[string]string{"kustomization.yaml": listed("a.yaml") + "components: [c]\n", "a.yaml": p},
			"kustomize cannot build DIR: a kustomization names DIR/c, which does not exist (kustomize says: accumulating components", ""},
		{"a file of a generator", map[string]string{"kustomization.yaml": "configMapGenerator: [{name: x, files: [nope]}]\n"},
			"kustomize cannot build DIR: a kustomization names DIR/nope, which does not exist (kustomize says: loading KV pairs", ""},
		{"a URL", map[string]string{"kustomization.yaml": listed("'http://127.0.0.1:1/x.yaml'")},
			`kustomize cannot build DIR: a kustomization names http://127.0.0.1:1/x.yaml: Get "http://127.0.0.1:1/x.yaml": dial tcp`, "accumulation err="},
		{"a key of a base's base", map[string]string{"kustomization.yaml": listed("sub"), "sub/kustomization.yaml": "resource: [a]\n"},
			`kustomize cannot build DIR: couldn't make target for path 'DIR/sub': invalid Kustomization: json: unknown field "resource" (kustomize says: `, "accumulating resources from 'sub'"},
		{"a directory without a kustomization", map[string]string{"kustomization.yaml": listed("sub"), "sub/a.yaml": p},
			"kustomize cannot build DIR: couldn't make target for path 'DIR/sub': unable to find one of 'kustomization.yaml'", "accumulating resources from 'sub'"},
		{"a cycle", map[string]string{"kustomization.yaml": listed(".")},
			"kustomize cannot build DIR: cycle detected: candidate root 'DIR' contains visited root 'DIR' (kustomize says: ", "accumulating resources from '.'"},
		{"an object twice", map[string]string{"a.yaml": p, "b.yaml": p},
			"kustomize cannot build DIR: DIR/b.yaml: may not add resource with an already registered id: Pod.v1.[noGrp]/a.[noNs] (kustomize says: ", "must build at directory"},
		{"a patch for nothing", map[string]string{"kustomization.yaml": listed("a.yaml") + "patches: [{path: p.yaml}]\n", "a.yaml": p, "p.yaml": basePod("other")},
			`kustomize cannot build DIR: no resource matches strategic merge patch "Pod.v1.[noGrp]/other.[noNs]"`, ""},
		{"a patch that is none", map[string]string{"kustomization.yaml": listed("a.yaml") + "patches: [{target: {kind: Pod}, patch: '[{op: remove, path: /spec/x}]'}]\n", "a.yaml": p},
			"kustomize cannot build DIR: PatchTransformer: unable to parse SM or JSON patch from ", "trouble configuring builtin PatchTransformer with config"},
		{"YAML of a base's base", map[string]string{"kustomization.yaml": listed("sub"), "sub/kustomization.yaml": listed("x.yaml"), "sub/x.yaml": "a: b\n c: d\n"},
			"DIR/sub/x.yaml: line 2: mapping values are not allowed in this context", ""},
		{"generateName", map[string]string{"a.yaml": p + "---\n" + strings.Replace(p, "name: a", "generateName: a-", 1), "kustomization.yaml": listed("a.yaml")},
			"DIR/a.yaml: line 6: Pod with generateName a- and no name: neither kustomize nor kubectl apply takes it: write a metadata.name", ""},
		{"generateName in a List", map[string]string{"a.yaml": "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {generateName: a-}\n"},
			"DIR/a.yaml: line 4: Pod with generateName a- and no name: ", ""},
		{"no name at all", map[string]string{"a.yaml": "apiVersion: v1\nkind: Pod\n"},
			"DIR/a.yaml: line 1: Pod with no metadata.name: ", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			writeBase(t, dir, tt.files)
			_, err := rewrite.LoadBase(t.Context(), &rewrite.Stage{}, dir)
			if err == nil {
				t.Fatal("no error")
			}
			got := strings.ReplaceAll(err.Error(), dir, "DIR")
			if !strings.HasPrefix(got, tt.want) || !strings.Contains(got, tt.whole) || strings.Contains(got, "\n") {
				t.Errorf("error\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}
