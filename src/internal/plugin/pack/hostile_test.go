// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ladder is a link that leads through each link of its directory twice: 27 of them stand for 2^27 steps, or
// as many files.
func ladder(links int, next func(at int) string) []*zip.FileHeader {
	entries := []*zip.FileHeader{item("l0/f", "x", 0o644)}
	for i := 1; i <= links; i++ {
		entries = append(entries, item(fmt.Sprintf("l%d", i), next(i), fs.ModeSymlink|0o777))
	}
	return entries
}

// TestLinksCostAsInLinux: without the bounds, each of these would go on for longer than tests may take.
func TestLinksCostAsInLinux(t *testing.T) {
	slow := ladder(27, func(i int) string { return fmt.Sprintf("l%d/../l%d", i-1, i-1) })
	many := ladder(0, nil)
	for i := 1; i <= 27; i++ { // each directory holds the one before it twice
		for _, name := range []string{"a", "b"} {
			many = append(many, item(fmt.Sprintf("l%d/%s", i, name), fmt.Sprintf("../l%d", i-1), fs.ModeSymlink|0o777))
		}
	}
	before := func(i int) string { return fmt.Sprintf("l%d", i-1) }
	tests := []struct {
		name    string
		entries []*zip.FileHeader
		want    string
	}{
		{"steps", slow, "it leads back to itself, or through more than 40 links"},
		{"a chain", ladder(maxHops+1, before), "link l41 -> l40: it leads back to itself, or through more than 40 links"},
		{"files", many, "with its links followed, it has more than 1000000 files and directories"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Pack(t.Context(), writeZip(t, tt.entries...), Options{TempDir: t.TempDir(), FollowLinks: true})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
	img := pack(t, writeZip(t, ladder(maxHops, before)...), Options{FollowLinks: true})
	if img.Files != 41 {
		t.Errorf("%d files through 40 links, want 41", img.Files)
	}
}

func TestLimits(t *testing.T) {
	t.Run("bytes", func(t *testing.T) {
		var buf bytes.Buffer
		w := zip.NewWriter(&buf)
		for i := range 17 { // 4 GiB each, as the archive says
			_, err := w.CreateRaw(&zip.FileHeader{Name: fmt.Sprint(i), UncompressedSize64: 1<<32 - 1, Method: zip.Deflate})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		refused(t, buf.Bytes(), "its files are more than 64 GiB")
	})
	t.Run("list of entries", func(t *testing.T) {
		var buf bytes.Buffer
		w := zip.NewWriter(&buf)
		if _, err := w.Create("a"); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		_, err := zip.NewReader(&bounded{t.Context(), bytes.NewReader(buf.Bytes()), 10}, int64(buf.Len()))
		if !errors.Is(err, errTooLong) {
			t.Errorf("error %v, want %v", err, errTooLong)
		}
	})
	t.Run("path", func(t *testing.T) {
		path := writeZip(t, item(strings.Repeat("a/", 2100), "", fs.ModeDir|0o755))
		if _, err := Pack(t.Context(), path, Options{}); !errors.Is(err, errPath) {
			t.Errorf("error %v, want %v", err, errPath)
		}
	})
	t.Run("entries", func(t *testing.T) {
		if _, _, err := list(t.Context(), endless{}, "s", Options{}); !errors.Is(err, errTooMany) {
			t.Errorf("error %v, want %v", err, errTooMany)
		}
	})
}

func refused(t *testing.T, archive []byte, want string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.zip")
	if err := os.WriteFile(path, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Pack(t.Context(), path, Options{TempDir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one with %q", err, want)
	}
}

// endless is a source without an end.
type endless struct{}

func (endless) Close() error                           { return nil }
func (endless) readFile(string) (io.ReadCloser, error) { return nil, fs.ErrNotExist }
func (endless) walk(_ context.Context, visit func(entry) (bool, error)) error {
	for {
		if _, err := visit(entry{path: "f"}); err != nil {
			return err
		}
	}
}

// The first Ctrl-C ends every loop: the context ends when a step has begun, and the step ends with it.
func TestInterruptedEverywhere(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	path := writeZip(t, item("a", "x", 0o644), item("l", "a", fs.ModeSymlink|0o777))
	if _, err := openZip(ended, path); !errors.Is(err, context.Canceled) {
		t.Errorf("reading the list of entries: %v", err)
	}
	if _, err := withoutLinks(ended, []entry{{path: ".", kind: directory}, {path: "l", kind: link, target: "l"}}, true); !errors.Is(err, context.Canceled) {
		t.Errorf("following links: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	large := entry{path: "f", size: 1 << 40, open: func() (io.ReadCloser, error) { return io.NopCloser(stopAfter{stop}), nil }}
	if _, err := writeLayer(ctx, []entry{large}, t.TempDir()); !errors.Is(err, context.Canceled) {
		t.Errorf("packing one large file: %v", err)
	}
}

// stopAfter is content without an end, in the course of which the user presses Ctrl-C.
type stopAfter struct{ stop func() }

func (s stopAfter) Read(p []byte) (int, error) {
	s.stop()
	return len(p), nil
}

// An archive can say that the exclude file is a link; its target is no list of patterns.
func TestExcludeFileIsALink(t *testing.T) {
	path := writeZip(t, item("a", "x", 0o644), item(DefaultExcludeFile, "a", fs.ModeSymlink|0o777))
	if _, err := Pack(t.Context(), path, Options{ExcludeFile: DefaultExcludeFile, ExcludeFileOptional: true}); !errors.Is(err, errNoFile) {
		t.Errorf("error %v, want %v", err, errNoFile)
	}
}

func TestNotice(t *testing.T) {
	tests := []struct {
		name string
		tree map[string]string
		want string
	}{
		{"nothing excluded", map[string]string{"a": ""}, ""},
		{"the same", map[string]string{"a": "", "build/x": "", "c/d": "", ".git/HEAD": "", ".tanzuignore": "# x\n/none\nbuild/\n  .git \nc/d\r\n"}, ""},
		{"git", map[string]string{"a": "", ".git/HEAD": ""}, "The Apps CLI would push .git: write .git into .tanzuignore for both to push the same."},
		{"anywhere", map[string]string{"a": "", "build/x": "", "s/build/x": "", "t/build/x": "", ".tanzuignore": "build"},
			"The Apps CLI would push s/build and 1 more: a line of .tanzuignore is a literal path from the root to it."},
		{"pattern", map[string]string{"a": "", "b.log": "", ".git/HEAD": "", ".tanzuignore": "*.log"},
			"The Apps CLI would push .git and 1 more: a line of .tanzuignore is a literal path from the root to it."},
		{"taken back", map[string]string{"k/a": "", "k/b": "", ".tanzuignore": "k\n!k"}, "The Apps CLI would leave out k: a line of .tanzuignore is a literal path from the root to it."},
		{"nested", map[string]string{"k/a": "", "k/b": "", "k/.tanzuignore": "a"}, "The Apps CLI would push k/a: a line of .tanzuignore is a literal path from the root to it."},
		{"both", map[string]string{"k": "", "l": "", ".tanzuignore": "k\n!k\n/l"}, "The Apps CLI would push l, and leave out k: a line of .tanzuignore is a literal path from the root to it."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			writeTree(t, root, tt.tree)
			img := pack(t, root, Options{ExcludeFile: DefaultExcludeFile, ExcludeFileOptional: true})
			if diff := cmp.Diff(tt.want, img.Notice); diff != "" {
				t.Errorf("notice (-want +got):\n%s", diff)
			}
		})
	}
}
