// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m, "imgpkg", "registry")) }

// sample returns the indented lines between two marks of a document, without the indent.
func sample(t *testing.T, file, mark string) string {
	t.Helper()
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, begun := strings.Cut(string(content), "<!-- "+mark+": begin, kept true by tests/docs -->\n")
	text, _, ended := strings.Cut(rest, "<!-- "+mark+": end -->")
	if !begun || !ended {
		t.Fatalf("%s has no marks for %s", file, mark)
	}
	var out strings.Builder
	for line := range strings.Lines(text) {
		if line, indented := strings.CutPrefix(line, "    "); indented {
			out.WriteString(line)
		}
	}
	return out.String()
}

// alike replaces what differs from run to run.
func alike(text string) string {
	for _, volatile := range []struct{ pattern, name string }{
		{`127\.0\.0\.1:[0-9]+`, "ADDRESS"},
		{`sha256:[0-9a-f]{64}`, "DIGEST"},
		{`\b[0-9]+ files\b`, "N files"},
		{`\b[0-9]+ s\b`, "N s"},
	} {
		text = regexp.MustCompile(volatile.pattern).ReplaceAllString(text, volatile.name)
	}
	return strings.TrimSpace(text)
}

// TestDemo runs "make demo" as README.md shows it.
func TestDemo(t *testing.T) {
	t.Parallel()
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "scripts/demo.sh")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("scripts/demo.sh: %v\n%s", err, out)
	}
	_, shown, found := strings.Cut(string(out), "== starting")
	if !found {
		t.Fatalf("no line of it starts anything:\n%s", out)
	}
	if diff := cmp.Diff(alike(sample(t, "README.md", "demo")), alike("== starting"+shown)); diff != "" {
		t.Errorf("README.md shows another output than make demo prints (-README +printed):\n%s", diff)
	}
}

// TestCheck runs "check" as the server's README shows it, at a registry with TLS and a password.
func TestCheck(t *testing.T) {
	t.Parallel()
	certificates := harness.NewCertificates(t)
	registry := harness.Distribution{Program: harness.Tool(t, "registry"), Basic: true, TLS: &certificates}.Start(t)
	host := strings.Replace(registry.Host, "127.0.0.1", "localhost", 1)
	dir := t.TempDir()
	repository := host + "/" + harness.Repository
	process := harness.StartProcess(t, "local-source-proxy", harness.Command("check",
		"--values-file="+harness.WriteJSON(t, filepath.Join(dir, "values.yml"), map[string]any{"repository": repository, "ca_cert_data": string(registry.CA)}),
		"--docker-config="+harness.WriteFile(t, filepath.Join(dir, "config.json"), harness.DockerConfig(t, host, harness.Username, harness.Password))))
	if code := process.Wait(t); code != 0 {
		t.Fatalf("exit code %d: %s", code, process.Stdout)
	}
	printed := strings.NewReplacer(
		repository, "registry.example.com/team/source", host, "registry.example.com:443", "localhost", "registry.example.com",
		"127.0.0.1", "192.0.2.10", "CA of a test", "Example CA",
	).Replace(process.Stdout.String())
	_, shown, _ := strings.Cut(sample(t, "src/cmd/local-source-proxy/README.md", "check"), "config.json\n")
	if diff := cmp.Diff(shown, printed); diff != "" {
		t.Errorf("the README shows another output than check prints (-README +printed):\n%s", diff)
	}
}
