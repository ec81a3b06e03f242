// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// digestIn is a digest that the publisher noted.
func digestIn(t *testing.T, checkout, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(checkout, "dist/digests.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		if found, digest, _ := strings.Cut(strings.TrimSpace(line), " "); found == name {
			return digest
		}
	}
	t.Fatalf("no digest of %s in\n%s", name, content)
	return ""
}

// archiveOf is some layer.
func archiveOf(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "another content")
	mustRun(t, command{args: []string{"tar", "-C", dir, "-cf", filepath.Join(dir, "layer.tar"), "file"}})
	return filepath.Join(dir, "layer.tar")
}

// modulesOf are the modules in a program, as Go says it, with the standard library's version.
func modulesOf(t *testing.T, program string) []string {
	t.Helper()
	var found []string
	said := mustRun(t, command{args: []string{"go", "version", "-m", program}})
	first, _, _ := strings.Cut(said, "\n")
	_, release, _ := strings.Cut(first, ": ")
	found = append(found, "std@"+strings.TrimSpace(release))
	for line := range strings.Lines(said) {
		if fields := strings.Fields(line); len(fields) >= 3 && fields[0] == "dep" {
			found = append(found, fields[1]+"@"+fields[2])
		}
	}
	slices.Sort(found)
	return found
}

// componentsOf are those of an SBOM.
func componentsOf(t *testing.T, sbom []byte) []string {
	t.Helper()
	var document struct {
		BOMFormat  string
		Components []struct{ Name, Version string }
	}
	if err := json.Unmarshal(sbom, &document); err != nil || document.BOMFormat != "CycloneDX" {
		t.Fatalf("an SBOM of format %q: %v", document.BOMFormat, err)
	}
	var found []string
	for _, component := range document.Components {
		found = append(found, component.Name+"@"+component.Version)
	}
	slices.Sort(found)
	return found
}

// checkSBOMs compares the SBOM of each program with what Go says is in it: of those in the archives and of the
// image's, for both of which the bundle has one.
func (r *release) checkSBOMs(t *testing.T, image string, crane func(*testing.T, ...string) string) {
	compare := func(t *testing.T, program, sbom string) {
		t.Helper()
		content, err := os.ReadFile(sbom)
		if err != nil {
			t.Fatal(err)
		}
		want := modulesOf(t, program)
		if len(want) < 50 {
			t.Fatalf("Go names only %v", want)
		}
		if diff := cmp.Diff(want, componentsOf(t, content)); diff != "" {
			t.Errorf("%s (-go version -m +SBOM):\n%s", filepath.Base(sbom), diff)
		}
	}
	for _, program := range []string{"kubectl-lsp", "local-source-proxy"} {
		name := filepath.Join(r.files, program+"-linux-"+hostArchitecture(t))
		dir := t.TempDir()
		mustRun(t, command{args: []string{"tar", "-C", dir, "-xzf", name + ".tar.gz"}})
		compare(t, filepath.Join(dir, program), name+".cdx.json")
	}
	for _, architecture := range []string{"amd64", "arm64"} {
		dir := t.TempDir()
		archive := filepath.Join(dir, "image.tar")
		crane(t, "export", "--platform", "linux/"+architecture, r.registry+"/local-source-proxy@"+image, archive)
		mustRun(t, command{args: []string{"tar", "-C", dir, "-xf", archive}})
		compare(t, filepath.Join(dir, "ko-app/local-source-proxy"), filepath.Join(r.checkout, "dist/sbom/local-source-proxy-linux-"+architecture+".cdx.json"))
	}
}

// checkDocumented compares the files with the table of scripts/README.md.
func (r *release) checkDocumented(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(root(t), "scripts/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(content), "\n## A release\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var documented []string
	for line := range strings.Lines(section) {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			for _, match := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[1], -1) {
				name := strings.ReplaceAll(match[1], "PLATFORM", "linux-"+hostArchitecture(t))
				documented = append(documented, strings.ReplaceAll(name, "ARCH", hostArchitecture(t)))
			}
		}
	}
	entries, err := os.ReadDir(r.files)
	if err != nil {
		t.Fatal(err)
	}
	var there []string
	for _, entry := range entries {
		there = append(there, entry.Name())
	}
	slices.Sort(documented)
	if diff := cmp.Diff(documented, there); diff != "" {
		t.Errorf("files of the release (-documented +there):\n%s", diff)
	}
}

// checkSpoilt changes a byte of each file, one after another.
func (r *release) checkSpoilt(t *testing.T) {
	entries, err := os.ReadDir(r.files)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		t.Run(entry.Name(), func(t *testing.T) {
			t.Parallel()
			files := r.copied(t)
			spoil(t, filepath.Join(files, entry.Name()))
			got := r.verify(t, r.keys.public, files, "REBUILD=no")
			if got.err == nil || !strings.Contains(got.stderr, entry.Name()) {
				t.Errorf("verify-release: %v\n%s%s", got.err, got.stdout, got.stderr)
			}
		})
	}
}
