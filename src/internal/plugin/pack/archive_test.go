// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"archive/zip"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}

// writeZip makes an archive with the entries in the given order.
func writeZip(t *testing.T, entries ...*zip.FileHeader) string {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, h := range entries {
		content := h.Comment
		h.Comment = ""
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(content)); err != nil && !strings.HasSuffix(h.Name, "/") {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "app.jar")
	if err := os.WriteFile(path, buf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// item carries its content in the comment until writeZip has written it. Mode 0 makes an entry without
// permission bits.
func item(name, content string, mode fs.FileMode) *zip.FileHeader {
	h := &zip.FileHeader{Name: name, Comment: content, Modified: time.Unix(int64(len(name))*1e6, 0), Method: zip.Deflate}
	if mode != 0 {
		h.SetMode(mode)
	}
	return h
}

func TestArchiveEqualsDirectory(t *testing.T) {
	root := t.TempDir()
	writeTree(t, root, sample())
	var entries []*zip.FileHeader
	for name, content := range sample() {
		target, isLink := strings.CutPrefix(content, "->")
		switch {
		case isLink:
			entries = append(entries, item(name, target, fs.ModeSymlink|0o777))
		case strings.HasSuffix(name, "/"):
			entries = append(entries, item(name, "", fs.ModeDir|0o755))
		case strings.HasPrefix(content, "#!"):
			entries = append(entries, item(name, content, 0o755))
		default:
			entries = append(entries, item(name, content, 0o644))
		}
	}
	follow := Options{FollowLinks: true}
	fromZip, fromDir := pack(t, writeZip(t, entries...), follow), pack(t, root, follow)
	if diff := cmp.Diff(contents(t, fromDir), contents(t, fromZip)); diff != "" {
		t.Fatalf("contents (-directory +archive):\n%s", diff)
	}
	if a, b := digestOf(t, fromDir), digestOf(t, fromZip); a != b {
		t.Errorf("digests differ: directory %s, archive %s", a, b)
	}
}

func TestArchiveWithoutModes(t *testing.T) {
	path := writeZip(t, item("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n", 0), item("mvnw", "#!/bin/sh\n", 0), item("skip/x", "x", 0), item(".tanzuignore", "skip\n", 0))
	want := map[string]string{
		"./": "", "META-INF/": "", "META-INF/MANIFEST.MF": "-rwx------ Manifest-Version: 1.0\n",
		"mvnw": "-rwx------ #!/bin/sh\n", ".tanzuignore": "-rwx------ skip\n",
	}
	if diff := cmp.Diff(want, contents(t, pack(t, path, Options{ExcludeFile: ".tanzuignore"}))); diff != "" {
		t.Errorf("contents (-want +got):\n%s", diff)
	}
}

// Gradle writes entries twice, other tools "./" before names. jar, unzip and the Apps CLI take the last of
// two.
func TestArchiveNames(t *testing.T) {
	path := writeZip(t, item("./a", "first", 0o644), item("b/", "", fs.ModeDir|0o755), item("a", "last", 0o755), item("b/", "", fs.ModeDir|0o755),
		item("./", "", fs.ModeDir|0o755), item("b/../c//d", "clean", 0o644), item("b/./e", "", 0o644), item("b/e", "longer", 0o644))
	want := map[string]string{"./": "", "a": "-rwx------ last", "b/": "", "b/e": "-rw------- longer", "c/": "", "c/d": "-rw------- clean"}
	if diff := cmp.Diff(want, contents(t, pack(t, path, Options{}))); diff != "" {
		t.Errorf("contents (-want +got):\n%s", diff)
	}
}

func TestBadArchives(t *testing.T) {
	tests := []struct {
		name    string
		entries []*zip.FileHeader
		want    string
	}{
		{"climbs out", []*zip.FileHeader{item("../evil", "x", 0o644)}, `entry "../evil" has no clean relative path`},
		{"climbs out inside", []*zip.FileHeader{item("a/../../evil", "x", 0o644)}, `entry "a/../../evil" has no clean relative path`},
		{"absolute", []*zip.FileHeader{item("/etc/evil", "x", 0o644)}, `entry "/etc/evil" has no clean relative path`},
		{"backslash", []*zip.FileHeader{item(`a\b`, "x", 0o644)}, `has no clean relative path`},
		{"up and away", []*zip.FileHeader{item("./../evil", "x", 0o644)}, `entry "./../evil" has no clean relative path`},
		{"file and directory", []*zip.FileHeader{item("a", "x", 0o644), item("a/", "", fs.ModeDir|0o755)}, `entry "a" is in it as a file and as a directory`},
		{"below a file", []*zip.FileHeader{item("a", "x", 0o644), item("a/b", "y", 0o644)}, `entry "a/b" is below "a", which is a file`},
		{"file over a directory", []*zip.FileHeader{item("a/b", "x", 0o644), item("a", "y", 0o644)}, `entry "a/b" is below "a", which is a file`},
		{"link out", []*zip.FileHeader{item("l", "../x", fs.ModeSymlink|0o777)}, `link l -> ../x: its target is outside of the tree`},
		{"pipe", []*zip.FileHeader{item("p", "", fs.ModeNamedPipe|0o644)}, `entry "p": it is a named pipe`},
		{"nothing in it", nil, "no files to push"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Pack(t.Context(), writeZip(t, tt.entries...), Options{TempDir: t.TempDir(), FollowLinks: true})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestDamagedArchive(t *testing.T) {
	path := writeZip(t, item("a", strings.Repeat("x", 1000), 0o644))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	whole[40] ^= 0xff // inside the compressed data
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Pack(t.Context(), path, Options{TempDir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "pack a:") {
		t.Errorf("error %v, want one that names the damaged entry", err)
	}
}

// FuzzPackArchive holds that no archive makes the packer panic or name a path outside of the tree.
func FuzzPackArchive(f *testing.F) {
	for _, names := range [][]string{{"a", "b/c"}, {"../x"}, {"a/", "a/b"}} {
		var buf bytes.Buffer
		w := zip.NewWriter(&buf)
		for _, n := range names {
			if _, err := w.Create(n); err != nil {
				f.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			f.Fatal(err)
		}
		f.Add(buf.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "f.zip")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		src, err := openZip(t.Context(), path)
		if err != nil {
			return
		}
		defer src.Close()
		_ = src.walk(t.Context(), func(e entry) (bool, error) {
			if !fs.ValidPath(e.path) {
				t.Errorf("unclean path %q", e.path)
			}
			return true, nil
		})
	})
}
