// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/rewrite"
)

const application = "apiVersion: kots.io/v1beta1\nkind: Application\nmetadata: {name: app}\nspec: {additionalNamespaces: [b, a, '*'], proxyRegistryDomain: proxy.example.com}\n"

func basePod(name string) string {
	return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name + "}\nspec: {containers: [{name: c, image: quay.io/o/" + name + "}]}\n"
}

func writeBase(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// bomb is an object of a few hundred bytes that is 10^8 with its aliases written out.
const bomb = `apiVersion: v1
kind: ConfigMap
metadata: {name: bomb}
a: &a [x, x, x, x, x, x, x, x, x, x]
b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]
c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]
d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]
e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]
f: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e, *e]
g: &g [*f, *f, *f, *f, *f, *f, *f, *f, *f, *f]
h: &h [*g, *g, *g, *g, *g, *g, *g, *g, *g, *g]
`

// large is a base of small files that are too much together.
func large() map[string]string {
	files := map[string]string{}
	for i := range 5 {
		files[string(rune('a'+i))+".yaml"] = "# " + strings.Repeat("x", 7<<20) + "\n"
	}
	return files
}

func images(b *rewrite.Base) []string {
	var all []string
	for _, image := range b.Images {
		all = append(all, image.Written)
	}
	return all
}

// TestWithoutKustomization: every file with objects is listed, as deep as it lies, and a directory that has a
// kustomization is one.
func TestWithoutKustomization(t *testing.T) {
	dir := t.TempDir()
	writeBase(t, dir, map[string]string{
		"one.yaml": "# comment only\n---\n" + basePod("one") + "---\n", "deep/er/two.yml": basePod("two"), "three.json": `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"three"},"spec":{"containers":[{"name":"c","image":"quay.io/o/three"}]}}`,
		"own/Kustomization": "resources: [four.yaml]\n", "own/four.yaml": basePod("four"), "own/not-listed.yaml": "{{ broken", "own/sub/five.yaml": basePod("five"),
		".hidden/six.yaml": "{{ broken", ".seven.yaml": "{{ broken", "values.yaml": "replicas: 1\n", "README.md": "{{", "empty.yaml": "",
	})
	var s rewrite.Stage
	b, err := rewrite.LoadBase(t.Context(), &s, dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"quay.io/o/four", "quay.io/o/one", "quay.io/o/three", "quay.io/o/two"}, images(b)); diff != "" {
		t.Errorf("images: %s", diff)
	}
	if diff := cmp.Diff([]string{"empty.yaml", "values.yaml"}, b.LeftOut); diff != "" {
		t.Errorf("left out: %s", diff)
	}
	files := s.Files()
	if len(files) != 1 || filepath.Base(files[0].Path) != "kustomization.yaml" {
		t.Fatalf("files %+v", files)
	}
	text := string(files[0].Content)
	if !strings.HasPrefix(text, "# Written by kubectl lsp rewrite") || !strings.HasSuffix(text, "kind: Kustomization\nresources:\n- deep/er/two.yml\n- one.yaml\n- own\n- three.json\n") {
		t.Errorf("kustomization:\n%s", text)
	}
	if _, err := os.Stat(files[0].Path); err == nil {
		t.Error("it was written already")
	}
}

// TestKeptUpToDate: the written kustomization follows the files while its first line stands, and is the
// user's without it.
func TestKeptUpToDate(t *testing.T) {
	dir := t.TempDir()
	writeBase(t, dir, map[string]string{"one.yaml": basePod("one")})
	load := func() *rewrite.Base {
		var s rewrite.Stage
		b, err := rewrite.LoadBase(t.Context(), &s, dir)
		if err == nil {
			err = s.Commit()
		}
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	load()
	writeBase(t, dir, map[string]string{"two.yaml": basePod("two")})
	if got := images(load()); len(got) != 2 {
		t.Errorf("images %v", got)
	}
	path := filepath.Join(dir, "kustomization.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, mine, _ := strings.Cut(string(text), "\n")
	writeBase(t, dir, map[string]string{"kustomization.yaml": mine, "three.yaml": basePod("three")})
	if got := images(load()); len(got) != 2 {
		t.Errorf("the user's kustomization does not list three.yaml: %v", got)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != mine {
		t.Errorf("the user's kustomization changed: %v\n%s", err, after)
	}
}

// TestApplication is found whether or not the base's kustomization lists it.
func TestApplication(t *testing.T) {
	want := rewrite.Application{Domain: "proxy.example.com", Namespaces: []string{"a", "b"}, Everywhere: true}
	for name, files := range map[string]map[string]string{
		"no kustomization": {"app.yaml": application, "pod.yaml": basePod("p")},
		"listed":           {"app.yaml": application, "pod.yaml": basePod("p"), "kustomization.yaml": "resources: [app.yaml, pod.yaml]\n"},
		"not listed":       {"app.yaml": application, "pod.yaml": basePod("p"), "kustomization.yaml": "resources: [pod.yaml]\n", "chart/templates/x.yaml": "{{ broken"},
		"in a List":        {"all.yaml": basePod("p") + "---\napiVersion: v1\nkind: List\nitems:\n- " + strings.ReplaceAll(application, "\n", "\n  ")},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeBase(t, dir, files)
			b, err := rewrite.LoadBase(t.Context(), &rewrite.Stage{}, dir)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, b.Application); diff != "" {
				t.Error(diff)
			}
			if listed := name != "not listed"; listed != (len(b.Installer) == 1) {
				t.Errorf("objects for installers: %v", b.Installer)
			}
		})
	}
}

func TestBaseRefuses(t *testing.T) {
	other := strings.NewReplacer("name: app", "name: other", "proxy.example.com", "other.example.com").Replace(application)
	tests := []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"no objects", map[string]string{"values.yaml": "a: b\n"}, "has no Kubernetes objects"},
		{"invalid YAML, listed", map[string]string{"bad.yaml": "a: b\n c: d\n", "kustomization.yaml": "resources: [bad.yaml]\n"}, "bad.yaml: line 2: mapping values are not allowed"},
		{"a template", map[string]string{"bad.yaml": "{{- if .Values.x }}\na: b\n{{- end }}\n"}, "bad.yaml: line 1: "},
		{"nothing of that name", map[string]string{"kustomization.yaml": "resources: [none.yaml]\n"}, "none.yaml"},
		{"a misspelt key", map[string]string{"kustomization.yaml": "resource: [a]\n"}, `unknown field "resource"`},
		{"two kustomizations", map[string]string{"kustomization.yaml": "resources: [a.yaml]\n", "Kustomization": "resources: [a.yaml]\n", "a.yaml": basePod("a")}, "multiple kustomization files"},
		{"a bomb", map[string]string{"bomb.yaml": bomb}, "bomb.yaml: line 8: aliases make more than 100000 nodes of it"},
		{"a bomb, listed", map[string]string{"bomb.yaml": bomb, "kustomization.yaml": "resources: [bomb.yaml]\n"}, "bomb.yaml: line 8: aliases make more than 100000 nodes of it"},
		{"a bomb of another name", map[string]string{"bomb": bomb, "kustomization.yaml": "resources: [bomb]\n"}, "bomb: line 8: aliases make more than 100000 nodes of it"},
		{"a bomb for a patch", map[string]string{"a.yaml": basePod("a"), "patch": bomb, "kustomization.yaml": "resources: [a.yaml]\npatches: [{path: patch}]\n"}, "patch: line 8: aliases make"},
		{"a kustomization that is a bomb", map[string]string{"kustomization.yaml": bomb}, "line 8: aliases make more"},
		{"an alias in itself", map[string]string{"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: &m {name: a, x: *m}\n"}, "a.yaml: line 3: the alias *m stands in what it stands for"},
		{"a large file", map[string]string{"a.yaml": basePod("a"), "b.yaml": "# " + strings.Repeat("x", 9<<20)}, "b.yaml: the file is larger than 8 MiB"},
		{"large files", large(), "has more than 10000 manifests, or more than 32 MiB of them"},
		{"two domains", map[string]string{"pod.yaml": basePod("p"), "a.yaml": application, "b.yaml": other}, "keep one of them"},
		{"namespaces of text", map[string]string{"pod.yaml": basePod("p"), "a.yaml": "apiVersion: kots.io/v1beta1\nkind: Application\nmetadata: {name: app}\nspec: {additionalNamespaces: x}\n"}, "cannot unmarshal"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			writeBase(t, dir, tt.files)
			_, err := rewrite.LoadBase(t.Context(), &rewrite.Stage{}, dir)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") && tt.name != "two kustomizations" {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
	file := filepath.Join(t.TempDir(), "file")
	writeBase(t, filepath.Dir(file), map[string]string{"file": ""})
	for path, want := range map[string]string{file: "is not a directory", file + "-not": "no such file or directory"} {
		if _, err := rewrite.LoadBase(t.Context(), &rewrite.Stage{}, path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
