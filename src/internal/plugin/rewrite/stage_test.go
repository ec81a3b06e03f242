// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/rewrite"
)

const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"

func write(t *testing.T, path, content string, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

// tree is every file and directory below root, with mode and content.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			all[path] = ""
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		all[path] = info.Mode().String() + " " + string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func put(t *testing.T, s *rewrite.Stage, path, content string, mode fs.FileMode) {
	t.Helper()
	if err := s.Put(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func TestCommit(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "same"), "same", 0o644)
	write(t, filepath.Join(root, "changed"), "before", 0o640)
	write(t, filepath.Join(root, "gone"), "x", 0o644)
	write(t, filepath.Join(root, "open"), "secret", 0o644)
	var s rewrite.Stage
	put(t, &s, filepath.Join(root, "same"), "same", 0o644)
	put(t, &s, filepath.Join(root, "changed"), "after", 0o644)
	put(t, &s, filepath.Join(root, "open"), "secret", 0o600)
	put(t, &s, filepath.Join(root, "new", "deep", "file"), "new", 0o600)
	for _, name := range []string{"gone", "never"} {
		if err := s.Remove(filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	actions := map[string]rewrite.Action{}
	for _, file := range s.Files() {
		actions[filepath.Base(file.Path)] = file.Action
	}
	want := map[string]rewrite.Action{
		"same": rewrite.Keep, "changed": rewrite.Update, "open": rewrite.Update, "file": rewrite.Create, "gone": rewrite.Delete, "never": rewrite.Keep,
	}
	if diff := cmp.Diff(want, actions); diff != "" {
		t.Errorf("actions (-want +got):\n%s", diff)
	}
	if err := s.Commit(); err != nil {
		t.Fatal(err)
	}
	wantTree := map[string]string{
		root: "", filepath.Join(root, "new"): "", filepath.Join(root, "new", "deep"): "",
		filepath.Join(root, "same"): "-rw-r--r-- same", filepath.Join(root, "changed"): "-rw-r----- after",
		filepath.Join(root, "open"): "-rw------- secret", filepath.Join(root, "new", "deep", "file"): "-rw------- new",
	}
	if diff := cmp.Diff(wantTree, tree(t, root)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
}

// TestCommitAllOrNothing: whatever cannot be written, nothing else is.
func TestCommitAllOrNothing(t *testing.T) {
	breakers := map[string]func(t *testing.T, root string){
		"a directory where a file is to be": func(t *testing.T, root string) {
			write(t, filepath.Join(root, "z", "file"), "in the way", 0o644)
		},
		"a file where a directory is to be": func(t *testing.T, root string) { write(t, filepath.Join(root, "y"), "in the way", 0o644) },
		"a file that vanished":              func(t *testing.T, root string) { _ = os.Remove(filepath.Join(root, "gone")) },
	}
	for name, breakIt := range breakers {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			write(t, filepath.Join(root, "a"), "before", 0o644)
			write(t, filepath.Join(root, "gone"), "x", 0o644)
			var s rewrite.Stage
			put(t, &s, filepath.Join(root, "a"), "after", 0o644)
			put(t, &s, filepath.Join(root, "b", "new"), "new", 0o644)
			put(t, &s, filepath.Join(root, "y", "new"), "new", 0o644)
			put(t, &s, filepath.Join(root, "z"), "new", 0o644)
			if err := s.Remove(filepath.Join(root, "gone")); err != nil {
				t.Fatal(err)
			}
			breakIt(t, root)
			before := tree(t, root)
			if err := s.Commit(); err == nil {
				t.Fatal("it worked")
			}
			if diff := cmp.Diff(before, tree(t, root)); diff != "" {
				t.Errorf("the tree changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestRefusesWhatIsNoFile(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "real"), "x", 0o644)
	if err := os.Symlink("real", filepath.Join(root, "link")); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	for _, path := range []string{root, filepath.Join(root, "link")} {
		var s rewrite.Stage
		if err := s.Put(path, nil, 0o644); err == nil || !strings.Contains(err.Error(), "is no regular file") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestBuild: kustomize sees staged files instead of those on disk, through symbolic links too, and load
// restrictions hold.
func TestBuild(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "base", "a.yaml"), configMap, 0o644)
	write(t, filepath.Join(root, "base", "old.yaml"), "broken: [", 0o644)
	write(t, filepath.Join(root, "over", "kustomization.yaml"), "resources: [nowhere]\n", 0o644)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(root, link); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	var s rewrite.Stage
	put(t, &s, filepath.Join(link, "base", "kustomization.yaml"), "resources: [a.yaml, old.yaml]\n", 0o644)
	put(t, &s, filepath.Join(root, "base", "old.yaml"), strings.Replace(configMap, "{name: a}", "{name: b}", 1), 0o644)
	put(t, &s, filepath.Join(root, "over", "kustomization.yaml"), "resources: [../base, ../new/deep]\n", 0o644)
	put(t, &s, filepath.Join(root, "new", "deep", "kustomization.yaml"), "resources: [c.yaml]\n", 0o644)
	put(t, &s, filepath.Join(root, "new", "deep", "c.yaml"), strings.Replace(configMap, "{name: a}", "{name: c}", 1), 0o644)
	before := tree(t, root)
	objects, err := s.Build(t.Context(), filepath.Join(link, "over"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, object := range objects {
		names = append(names, object.GetName())
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, names); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(before, tree(t, root)); diff != "" {
		t.Errorf("building changed the disk:\n%s", diff)
	}
	if err := s.Remove(filepath.Join(root, "base", "a.yaml")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Build(t.Context(), filepath.Join(root, "over")); err == nil {
		t.Error("a removed file was built")
	}
	put(t, &s, filepath.Join(root, "over", "kustomization.yaml"), "resources: [../base/old.yaml]\n", 0o644)
	if _, err := s.Build(t.Context(), filepath.Join(root, "over")); err == nil || !strings.Contains(err.Error(), "security") {
		t.Errorf("a file outside of the root was built: %v", err)
	}
	if _, err := s.Build(t.Context(), filepath.Join(root, "none")); err == nil {
		t.Error("a directory that is not there was built")
	}
}
