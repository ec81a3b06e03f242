// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Overlays that the documentation offers fit the manifests of today.
func TestExampleOverlaysApply(t *testing.T) {
	cases := map[string]func(*testing.T, []object) bool{
		"gke-workload-identity.yml": func(t *testing.T, all []object) bool {
			return find(t, all, namespace+"/ServiceAccount/proxy-manager").text("metadata", "annotations", "iam.gke.io/gcp-service-account") != ""
		},
		"azure-workload-identity.yml": func(t *testing.T, all []object) bool {
			account := find(t, all, namespace+"/ServiceAccount/proxy-manager")
			return account.text("metadata", "annotations", "azure.workload.identity/client-id") != "" &&
				deployment(t, all).Spec.Template.Labels["azure.workload.identity/use"] == "true"
		},
	}
	examples, err := filepath.Glob(filepath.Join(root(t), "bundle/examples/*.yml"))
	if err != nil || len(examples) != len(cases) {
		t.Fatalf("examples %v, %v; want one for each of %d cases", examples, err, len(cases))
	}
	for _, example := range examples {
		out := mustRun(t, command{args: []string{tool(t, "ytt"), "-f", productTemplates(t), "-f", example}})
		if applied := cases[filepath.Base(example)]; applied == nil || !applied(t, objects(t, out)) {
			t.Errorf("%s changes nothing", example)
		}
	}
}

// The values in the documentation are right.
func TestDocumentedValuesAreAccepted(t *testing.T) {
	cases := map[string]string{
		"bundle/README.md":             productTemplates(t),
		"package-repository/README.md": profileTemplates(t),
	}
	for file, templates := range cases {
		content, err := os.ReadFile(filepath.Join(root(t), file))
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		blocks := strings.Split(string(content), "```yaml\n")[1:]
		if len(blocks) == 0 {
			t.Errorf("%s shows no values", file)
		}
		for _, block := range blocks {
			text, _, found := strings.Cut(block, "```")
			if !found {
				t.Fatalf("%s: a block of values does not end", file)
			}
			if all := mustRender(t, templates, unindent(text)); len(all) == 0 {
				t.Errorf("%s: nothing is rendered from\n%s", file, text)
			}
		}
	}
}

// unindent takes the first line's indentation from every line.
func unindent(text string) string {
	indent := text[:len(text)-len(strings.TrimLeft(text, " "))]
	return strings.ReplaceAll("\n"+text, "\n"+indent, "\n")
}
