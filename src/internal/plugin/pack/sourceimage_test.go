// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sample is a tree with everything that may differ between two checkouts. Values are contents; a path that
// ends in "/" is a directory, a content that begins with "->" a link.
func sample() map[string]string {
	return map[string]string{
		"README.md":      "# sample\n",
		"bin/run":        "#!/bin/sh\necho run\n",
		"a/b/c/deep.txt": "deep",
		"a-b/x":          "sorts after a/",
		"empty/":         "",
		"nested/empty/":  "",
		"zero":           "",
		"latest":         "->a/b",
		"a/b/up":         "->../../README.md",
		strings.Repeat("n", 99) + "/" + strings.Repeat("m", 120): "a name that does not fit the old header",
		"ünïcode/файл": "unicode",
	}
}

func writeTree(t *testing.T, root string, tree map[string]string) {
	t.Helper()
	for name, content := range tree { // in random order, as maps are
		path := filepath.Join(root, filepath.FromSlash(name))
		var err error
		switch target, isLink := strings.CutPrefix(content, "->"); {
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(path, 0o755)
		case isLink:
			err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink(target, path))
		default:
			perm := fs.FileMode(0o644)
			if strings.HasPrefix(content, "#!") {
				perm = 0o755
			}
			err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), perm))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func pack(t *testing.T, path string, opts Options) *Image {
	t.Helper()
	opts.TempDir = t.TempDir()
	img, err := Pack(t.Context(), path, opts)
	if err != nil {
		t.Fatalf("Pack(%s): %v", path, err)
	}
	t.Cleanup(func() {
		if err := img.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return img
}

func digestOf(t *testing.T, img *Image) string {
	t.Helper()
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

// contents reads the layer back: name to mode and content.
func contents(t *testing.T, img *Image) map[string]string {
	t.Helper()
	r, err := img.layer.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := map[string]string{}
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		if !h.ModTime.Equal(time.Unix(0, 0)) || h.Uid != 0 || h.Uname != "" {
			t.Errorf("%s: time %v or owner %d %q in the header", h.Name, h.ModTime, h.Uid, h.Uname)
		}
		switch h.Typeflag {
		case tar.TypeDir:
			got[h.Name+"/"] = ""
		case tar.TypeSymlink:
			t.Errorf("%s: a link, which imgpkg drops", h.Name)
		default:
			got[h.Name] = fs.FileMode(h.Mode).String() + " " + string(body)
		}
	}
}

func TestSameTreeSameDigest(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	writeTree(t, one, sample())
	writeTree(t, two, sample())
	err := filepath.WalkDir(two, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		when := time.Unix(rand.Int64N(1<<31), 0)
		info, err := d.Info()
		if err != nil {
			return err
		}
		// Another umask: the owner's bits stay, the others' differ.
		return errors.Join(os.Chmod(path, info.Mode().Perm()&0o700|0o050), os.Chtimes(path, when, when))
	})
	if err != nil {
		t.Fatal(err)
	}
	first, second := pack(t, one, Options{FollowLinks: true}), pack(t, two, Options{FollowLinks: true})
	if diff := cmp.Diff(contents(t, first), contents(t, second)); diff != "" {
		t.Errorf("contents differ:\n%s", diff)
	}
	// The literal holds the form of the image: a change of it uploads everybody's unchanged source anew.
	const want = "sha256:ba87cc50b5c89ee2c90b7094b70c54fd182cf42713888af98fd973db83665750"
	for _, img := range []*Image{first, second} {
		if got := digestOf(t, img); got != want {
			t.Errorf("digest %s, want %s", got, want)
		}
	}
}

func TestContents(t *testing.T) {
	root := t.TempDir()
	writeTree(t, root, sample())
	want := map[string]string{"./": "", "a/": "", "a/b/": "", "a/b/c/": "", "a-b/": "", "bin/": "", "nested/": "", "ünïcode/": "", strings.Repeat("n", 99) + "/": ""}
	for name, content := range sample() {
		switch {
		case strings.HasSuffix(name, "/"):
			want[name] = content
		case name == "latest":
			want["latest/"], want["latest/c/"], want["latest/c/deep.txt"], want["latest/up"] = "", "", "-rw------- deep", "-rw------- # sample\n"
		case name == "a/b/up":
			want[name] = "-rw------- # sample\n"
		case strings.HasPrefix(content, "#!"):
			want[name] = "-rwx------ " + content
		default:
			want[name] = "-rw------- " + content
		}
	}
	img := pack(t, root, Options{FollowLinks: true})
	if diff := cmp.Diff(want, contents(t, img)); diff != "" {
		t.Errorf("contents (-want +got):\n%s", diff)
	}
	if img.Files != 10 {
		t.Errorf("Files = %d, want 10", img.Files)
	}
}

func TestExclusions(t *testing.T) {
	tree := map[string]string{
		"app.go": "x", "app.log": "x", "logs/keep.log": "x", "logs/a.log": "x", "build/out": "x", "src/build/out": "x",
		".git/HEAD": "x", "sub/.git": "x", "docs/x.md": "x", "tmp": "a file", "dir/tmp/x": "x", "sp ace": "x",
	}
	tests := []struct {
		name, patterns string
		want           []string // files left, sorted
	}{
		{"no patterns", "", []string{"app.go", "app.log", "build/out", "dir/tmp/x", "docs/x.md", "logs/a.log", "logs/keep.log", "sp ace", "src/build/out", "tmp"}},
		{"anywhere", "*.log\n", []string{"app.go", "build/out", "dir/tmp/x", "docs/x.md", "sp ace", "src/build/out", "tmp"}},
		{"rooted", "/build\n", []string{"app.go", "app.log", "dir/tmp/x", "docs/x.md", "logs/a.log", "logs/keep.log", "sp ace", "src/build/out", "tmp"}},
		{"directories only", "tmp/\n", []string{"app.go", "app.log", "build/out", "docs/x.md", "logs/a.log", "logs/keep.log", "sp ace", "src/build/out", "tmp"}},
		{"taken back", "*.log\n!keep.log\n", []string{"app.go", "build/out", "dir/tmp/x", "docs/x.md", "logs/keep.log", "sp ace", "src/build/out", "tmp"}},
		{"comment, blank, CRLF, BOM", "\ufeff*.log\r\n\r\n# tmp\r\n", []string{"app.go", "build/out", "dir/tmp/x", "docs/x.md", "sp ace", "src/build/out", "tmp"}},
		{"stars", "**/build/**\nd*/\nl?gs\n", []string{"app.go", "app.log", "sp ace", "tmp"}},
		{"git taken back", "!.git\n*\n!.git/\n!.git/**\n", []string{".git/HEAD"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			writeTree(t, root, tree)
			writeTree(t, root, map[string]string{".tanzuignore": tt.patterns})
			var got []string
			for name := range contents(t, pack(t, root, Options{ExcludeFile: ".tanzuignore"})) {
				if !strings.HasSuffix(name, "/") && name != ".tanzuignore" {
					got = append(got, name)
				}
			}
			if diff := cmp.Diff(tt.want, sorted(got)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGuessedModes(t *testing.T) {
	root := t.TempDir()
	writeTree(t, root, map[string]string{"script": "#!/bin/sh", "program": "\x7fELF...", "text": "text", "short": "#"})
	src := &dir{root: root, noModes: true}
	got := map[string]int64{}
	err := src.walk(t.Context(), func(e entry) (bool, error) { got[e.path] = e.mode; return true, nil })
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{".": 0o700, "script": 0o700, "program": 0o700, "text": 0o600, "short": 0o600}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("modes (-want +got):\n%s", diff)
	}
}

func TestLayerSeeks(t *testing.T) {
	root := t.TempDir()
	writeTree(t, root, sample())
	r, err := pack(t, root, Options{FollowLinks: true}).layer.Compressed()
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := r.(io.ReadSeeker); !ok {
		t.Errorf("Compressed gives a %T, which cannot seek: interrupted uploads would be read from the start", r)
	}
}
