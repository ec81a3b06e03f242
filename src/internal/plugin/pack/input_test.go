// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBadInput(t *testing.T) {
	tests := []struct {
		name string
		tree map[string]string
		opts Options
		path string // below the root
		want string // in the error
	}{
		{"no such path", nil, Options{}, "nowhere", "no such file or directory; name a directory, zip or jar"},
		{"plain file", map[string]string{"f": "text"}, Options{}, "f", "neither a directory nor a zip or jar file"},
		{"empty tree", nil, Options{}, "", "no files to push"},
		{"only directories", map[string]string{"a/b/": ""}, Options{}, "", "no files to push"},
		{"all excluded", map[string]string{"a": "x", "ig": "*"}, Options{ExcludeFile: "ig"}, "", "or ig excludes all of it"},
		{"no such exclude file", map[string]string{"a": "x"}, Options{ExcludeFile: "ig"}, "", "exclude file ig: no such file or directory"},
		{"absolute link", map[string]string{"l": "->/etc/passwd"}, Options{FollowLinks: true}, "", "link l -> /etc/passwd: its target is absolute"},
		{"link out", map[string]string{"d/l": "->../../x"}, Options{FollowLinks: true}, "", "link d/l -> ../../x: its target is outside of the tree"},
		{"link to nothing", map[string]string{"l": "->gone"}, Options{FollowLinks: true}, "", "link l -> gone: its target is not among the packed files"},
		{"link to itself", map[string]string{"l": "->l"}, Options{FollowLinks: true}, "", "link l -> l: it leads back to itself"},
		{"link out through a link", map[string]string{"d/e/a": "->../..", "d/foo": "x", "d/e/A": "->a/../foo"}, Options{FollowLinks: true}, "", "link d/e/A -> a/../foo: its target is outside of the tree"},
		{"a link", map[string]string{"l": "->f", "f": "x"}, Options{}, "", "link l -> f: it is a symbolic link, which is lost when the image is unpacked; store what it leads to with --follow-symlinks"},
		{"link below a file", map[string]string{"l": "->f/x", "f": "x"}, Options{FollowLinks: true}, "", "link l -> f/x: its target is not among the packed files"},
		{"link past a file", map[string]string{"l": "->f/../f", "f": "x"}, Options{FollowLinks: true}, "", "link l -> f/../f: its target is not among the packed files"},
		{"link to the directory it is in", map[string]string{"d/l": "->../d", "f": "x"}, Options{FollowLinks: true}, "", "link d/l -> ../d: it leads back to itself"},
		{"links in a circle", map[string]string{"a/b": "->../c", "c/d": "->../a"}, Options{FollowLinks: true}, "", ": it leads back to itself"},
		{"exclude file in UTF-16", map[string]string{"ig": "\xff\xfea\x00\n\x00"}, Options{ExcludeFile: "ig"}, "", "exclude file ig: line 1: it is not UTF-8 text (UTF-16?); save it as UTF-8"},
		{"exclude file with zeros", map[string]string{"ig": "a\nb\x00"}, Options{ExcludeFile: "ig"}, "", "exclude file ig: line 2: it is not UTF-8 text"},
		{"nested exclude file with a long line", map[string]string{"d/ig": "a\n" + strings.Repeat("b", 5000)}, Options{ExcludeFile: "ig", ExcludeFileOptional: true}, "", "exclude file d/ig: line 2: it is longer than 4096 bytes"},
		{"long exclude file", map[string]string{"ig": strings.Repeat("a\n", 1<<20)}, Options{ExcludeFile: "ig"}, "", "exclude file ig: it is longer than 1048576 bytes"},
		{"exclude file out of the tree", map[string]string{"ig": "->/etc/passwd"}, Options{ExcludeFile: "ig"}, "", "exclude file ig: path escapes from parent"},
		{"link to what is excluded", map[string]string{"l": "->out", "out": "x", "ig": "/out"}, Options{ExcludeFile: "ig", FollowLinks: true}, "", "link l -> out: its target is not among the packed files"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			writeTree(t, root, tt.tree)
			temp := t.TempDir()
			tt.opts.TempDir = temp
			_, err := Pack(t.Context(), filepath.Join(root, tt.path), tt.opts)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one with %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
			if left, _ := os.ReadDir(temp); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestSpecialFiles(t *testing.T) {
	root := t.TempDir()
	writeTree(t, root, map[string]string{"a": "x", "ig": "*.sock"})
	listener, err := net.Listen("unix", filepath.Join(root, "s.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if _, err := Pack(t.Context(), root, Options{}); err == nil || !strings.Contains(err.Error(), "s.sock: it is a socket") {
		t.Errorf("error %v, want one that names the socket", err)
	}
	pack(t, root, Options{ExcludeFile: "ig"})
}

func TestFileChangesWhileRead(t *testing.T) {
	for name, size := range map[string]int64{"shorter than listed": 10, "longer than listed": 2} {
		t.Run(name, func(t *testing.T) {
			grown := entry{path: "f", size: size, open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("12345")), nil }}
			if _, err := writeLayer(t.Context(), []entry{grown}, t.TempDir()); !errors.Is(err, errChanged) {
				t.Errorf("error %v, want %v", err, errChanged)
			}
		})
	}
}
