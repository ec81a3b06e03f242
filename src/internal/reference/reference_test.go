// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

const top = "../../.."

// TestPagesAreCurrent: what is committed is what the code says now.
func TestPagesAreCurrent(t *testing.T) {
	pages, err := pagesOf(top)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join(top, name))
		if err != nil {
			t.Errorf("%v: run make generate", err)
		} else if diff := cmp.Diff(string(got), want); diff != "" {
			t.Errorf("%s is stale: run make generate (-committed +generated):\n%s", name, diff)
		}
	}
}

// TestPagesDependOnNothingOfTheMachine: neither the home directory nor being in a cluster changes a page.
func TestPagesDependOnNothingOfTheMachine(t *testing.T) {
	here := t.TempDir()
	if err := run([]string{"pages", here, top}); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", "/home/somebody-else")
	t.Setenv("KUBECONFIG", "/somewhere/else")
	t.Setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
	t.Setenv("KUBERNETES_SERVICE_PORT", "443")
	there := t.TempDir()
	if err := run([]string{"pages", there, top}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(textsOf(t, here), textsOf(t, there)); diff != "" {
		t.Error(diff)
	}
}

func textsOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	texts := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		texts[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// TestEveryCommandAndFlagIsThere: on the page of its program, and in the manual page of its own.
func TestEveryCommandAndFlagIsThere(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "0")
	dir := t.TempDir()
	if err := writeManuals(dir, programs()); err != nil {
		t.Fatal(err)
	}
	for _, root := range programs() {
		page, err := commandsPage(root)
		if err != nil {
			t.Fatal(err)
		}
		commands := 0
		var walk func(cmd *cobra.Command)
		walk = func(cmd *cobra.Command) {
			if cmd.Hidden || cmd.Name() == "help" {
				return
			}
			commands++
			_, section, found := strings.Cut(page, "\n## "+cmd.CommandPath()+"\n")
			section, _, _ = strings.Cut(section, "\n## ")
			if !found {
				t.Errorf("%s is not on the page", cmd.CommandPath())
			}
			manual, err := os.ReadFile(filepath.Join(dir, strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1"))
			if err != nil {
				t.Error(err)
			}
			cmd.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
				if !f.Hidden && !strings.Contains(section, "--"+f.Name) {
					t.Errorf("%s --%s is not on the page", cmd.CommandPath(), f.Name)
				}
				if !f.Hidden && !strings.Contains(string(manual), f.Name) {
					t.Errorf("%s --%s is not in the manual", cmd.CommandPath(), f.Name)
				}
			})
			for _, below := range cmd.Commands() {
				walk(below)
			}
		}
		walk(root)
		if commands < 3 {
			t.Errorf("%s has %d commands", root.Name(), commands)
		}
	}
}

// TestManualsHaveADate: pages of the same commit must be the same bytes.
func TestManualsHaveADate(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "")
	if err := writeManuals(t.TempDir(), programs()); err == nil {
		t.Error("manuals were written with the date of today")
	}
	t.Setenv("SOURCE_DATE_EPOCH", "1000000000")
	dir := t.TempDir()
	if err := writeManuals(dir, programs()); err != nil {
		t.Fatal(err)
	}
	if page := textsOf(t, dir)["kubectl-lsp.1"]; !strings.Contains(page, `"Sep 2001"`) {
		t.Errorf("the date is not that of SOURCE_DATE_EPOCH:\n%.200s", page)
	}
}

// TestTextOfHelpStaysVisible: angle brackets in the text of help are no HTML on a page.
func TestTextOfHelpStaysVisible(t *testing.T) {
	root := &cobra.Command{Use: "tool", Short: "Name a <thing>", Long: "A <thing> is some_thing.\n    as <is>\n"}
	page, err := commandsPage(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`Name a \<thing>`, `A \<thing> is some\_thing.`, "    as <is>"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in:\n%s", want, page)
		}
	}
}

// TestEveryErrorCodeIsListed: a constant that Codes leaves out would be on no page.
func TestEveryErrorCodeIsListed(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../oci/codes.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var declared []string
	for node := range ast.Preorder(file) {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			continue
		}
		if value, isText := text(spec.Values[0]); isText {
			declared = append(declared, value)
		}
	}
	var listed []string
	for _, code := range oci.Codes() {
		if listed = append(listed, string(code)); code.Meaning() == "" {
			t.Errorf("%s has no meaning", code)
		}
	}
	slices.Sort(declared)
	slices.Sort(listed)
	if diff := cmp.Diff(declared, listed); diff != "" || len(listed) < 20 {
		t.Errorf("declared and listed codes differ (-declared +listed):\n%s", diff)
	}
}

// TestLogLines: each way in which the code puts keys into a line is understood.
func TestLogLines(t *testing.T) {
	const code = `package p
func (a *A) direct(ctx context.Context) {
	a.cfg.Log.Warn("direct", "one", 1, slog.Int("two", 2))
	a.log().ErrorContext(ctx, "with a context", "three", 3)
}
func (a *A) with() {
	log := a.Log.With("place", 1)
	if a.bad { log = log.With("problem", 2) }
	log.Info("with")
}
func (a *A) list(ctx context.Context) {
	level := slog.LevelInfo
	attrs := []slog.Attr{slog.String("four", "")}
	if a.bad { level = slog.LevelError; attrs = append(attrs, slog.String("five", "")) }
	a.logger.LogAttrs(ctx, level, "list", attrs...)
}
func (a *A) made() { a.log.LogAttrs(ctx, slog.LevelDebug, "made", append(a.about(), slog.Bool("seven", true))...) }
func (a *A) about() []slog.Attr { return []slog.Attr{slog.String("six", "")} }
func (a *A) fields() { all := []any{"eight", 8}; all = append(all, a.more...); a.log.Info("fields", all...); a.log.Info("of a part", a.more...) }
func fill(a *A) { a.more = []any{"nine", 9, "ten", 10} }
func (a *A) again() { a.log.Error("direct", "eleven", 11) }
func (a *A) other() { fmt.Println("no line"); a.notes.Info("not a logger", "twelve", 12) }
`
	lines, err := logLines(fstest.MapFS{
		"p/p.go":           {Data: []byte(code)},
		"p/p_test.go":      {Data: []byte("package p\nfunc f() { log.Info(\"in a test\") }")},
		"plugin/q/q.go":    {Data: []byte("package q\nfunc f() { log.Info(\"of the plugin\") }")},
		"testkit/r/r.go":   {Data: []byte("package r\nfunc f() { log.Info(\"of a double\") }")},
		"reference/s/s.go": {Data: []byte("package s\nfunc f() { log.Info(\"of the reference\") }")},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, line := range lines {
		got[line.message] = line.levels + ": " + strings.Join(line.keys, " ")
	}
	want := map[string]string{
		"direct": "ERROR, WARN: eleven one two", "with a context": "ERROR: three", "with": "INFO: place problem",
		"list": "ERROR, INFO: five four", "made": "DEBUG: seven six", "fields": "INFO: eight", "of a part": "INFO: eight nine ten",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestLogsPageRefuses: a key without a meaning, and a meaning without a key.
func TestLogsPageRefuses(t *testing.T) {
	line := func(key string) fstest.MapFS {
		return fstest.MapFS{"p.go": {Data: []byte("package p\nfunc f() { log.Info(\"said\", \"" + key + "\", 1) }")}}
	}
	if _, err := logsPage(line("unheard_of")); err == nil || !strings.Contains(err.Error(), `the key "unheard_of"`) {
		t.Errorf("a key without a meaning: %v", err)
	}
	if _, err := logsPage(line("status")); err == nil || !strings.Contains(err.Error(), "no line has the key") {
		t.Errorf("meanings without a key: %v", err)
	}
}

// TestResourcesPage: fields of lists and maps, what is required, and what is refused.
func TestResourcesPage(t *testing.T) {
	const crd = `
spec:
  group: g.example
  names: {kind: Thing, plural: things}
  versions:
  - name: v1
    schema:
      openAPIV3Schema:
        description: A thing.
        properties:
          metadata: {type: object}
          spec:
            type: object
            required: [name]
            properties:
              name: {type: string, description: "Name | title.", pattern: "^(a|b)$", maxLength: 2}
              list:
                type: array
                items: {type: object, properties: {at: {type: string, format: date-time}}}
              map: {type: object, additionalProperties: {type: integer}}
`
	page, err := resourcesPage(fstest.MapFS{"crd-things.yml": {Data: []byte(crd)}})
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(page, "|---|---|---|---|\n")
	want := []string{
		"| `spec` | object |  |  |",
		"| `spec.list` | list of object |  |  |",
		"| `spec.list[].at` | time |  |  |",
		"| `spec.map` | map of integer |  |  |",
		"| `spec.name`* | string | Name \\| title. | characters: 2 at most; `^(a\\|b)$` |",
	}
	if diff := cmp.Diff(want, strings.Split(strings.TrimSpace(table), "\n")); diff != "" {
		t.Error(diff)
	}
	if _, err := resourcesPage(fstest.MapFS{}); err == nil {
		t.Error("no definitions are no error")
	}
}

// TestEveryPageIsLinked: a page that no other page names is not found.
func TestEveryPageIsLinked(t *testing.T) {
	pages, err := pagesOf(top)
	if err != nil {
		t.Fatal(err)
	}
	for name := range maps.Keys(pages) {
		readme, err := os.ReadFile(filepath.Join(top, "README.md"))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(readme), "("+name+")") {
			t.Errorf("README.md does not link to %s", name)
		}
	}
}
