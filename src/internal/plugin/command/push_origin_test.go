// SPDX-License-Identifier: Apache-2.0

package command

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPushOrigin has git as its oracle.
func TestPushOrigin(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	w := newWorld(t)
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", w.tree, "-c", "user.name=a", "-c", "user.email=a@b"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", cmd, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	origin := func(extra ...string) map[string]string {
		t.Helper()
		out := w.run(append([]string{"push", "--name", "web", "--local-path", w.tree, "--origin", "-o", "json"}, extra...)...)
		var result pushed
		if err := json.Unmarshal([]byte(out.out), &result); err != nil || out.code != 0 {
			t.Fatalf("%v: %+v", err, out)
		}
		if diff := cmp.Diff(result.Annotations, manifestOf(t, w, result.Digest).Annotations); diff != "" {
			t.Errorf("annotations (-said +pushed):\n%s", diff)
		}
		return result.Annotations
	}
	push := []string{"push", "--name", "web", "--local-path", w.tree, "--origin"}
	w.run(push...).want(t, 1, "", "not a git repository")
	run("init", "--quiet", "--initial-branch=main")
	w.run(push...).want(t, 1, "", "has no commit yet: commit, or leave --origin out")
	run("add", ".")
	run("commit", "--quiet", "-m", "one")
	head := run("rev-parse", "HEAD")
	check := func(what string, want map[string]string, extra ...string) {
		t.Helper()
		if diff := cmp.Diff(want, origin(extra...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	check("clean, without a remote", map[string]string{revisionAnnotation: head})
	run("remote", "add", "origin", "https://me:hunter2@git.example.com/team/web.git?token=hunter2#hunter2")
	clean := map[string]string{revisionAnnotation: head, sourceAnnotation: "https://git.example.com/team/web.git"}
	check("a remote with a password", clean)
	run("remote", "add", "fork", "git@git.example.com:me/web.git")
	run("config", "branch.main.remote", "fork")
	check("the branch follows another remote", map[string]string{revisionAnnotation: head, sourceAnnotation: "git@git.example.com:me/web.git"})
	check("what is named counts", map[string]string{revisionAnnotation: "mine", sourceAnnotation: "git@git.example.com:me/web.git"},
		"--annotation", revisionAnnotation+"=mine")
	run("config", "branch.main.remote", "origin")
	dirty := map[string]string{revisionAnnotation: head + "-dirty", sourceAnnotation: clean[sourceAnnotation]}
	w.write("main.go", "changed\n")
	check("a changed file", dirty)
	run("add", ".")
	check("a staged file", dirty)
	run("reset", "--quiet", "--hard")
	check("clean again", clean)
	w.write("new.go", "new\n")
	check("a new file", dirty)
	w.write(".git/info/exclude", "new.go\n")
	check("a file that git ignores", clean)
	if err := os.Remove(filepath.Join(w.tree, "main.go")); err != nil {
		t.Fatal(err)
	}
	check("a file that is gone", dirty)
}

// TestPublicURL: nothing of a remote's address that could be a credential, or is a place on this machine.
func TestPublicURL(t *testing.T) {
	for address, want := range map[string]string{
		"https://git.example.com/a/b.git":                   "https://git.example.com/a/b.git",
		"https://hunter2@git.example.com/a":                 "https://git.example.com/a",
		"https://git:hunter2@git.example.com:8443/a":        "https://git.example.com:8443/a",
		"https://x-oauth-basic:hunter2@git.example.com/a?b": "https://git.example.com/a",
		"http://git.example.com/a#hunter2":                  "http://git.example.com/a",
		"ssh://git@git.example.com/a":                       "ssh://git@git.example.com/a",
		"ssh://git:hunter2@git.example.com:22/a":            "ssh://git@git.example.com:22/a",
		"ssh://hunter2@git.example.com/a":                   "ssh://git.example.com/a",
		"git@git.example.com:a/b.git":                       "git@git.example.com:a/b.git",
		"hunter2@git.example.com:a/b.git":                   "git.example.com:a/b.git",
		"git.example.com:/srv/b.git":                        "git.example.com:/srv/b.git",
		"me:hunter2@git.example.com:a/b":                    "",
		"git@git.example.com:hunter2@a":                     "",
		"/home/me/hunter2":                                  "",
		"../hunter2":                                        "",
		"file:///home/me/hunter2":                           "",
		`C:\hunter2`:                                        "",
		"C:/hunter2":                                        "",
		"ext::sh -c hunter2":                                "",
		"https://%zz:hunter2@git.example.com/a":             "",
		"codecommit::eu-central-1://hunter2@my-repo":        "",
		"": "",
	} {
		got := publicURL(address)
		if got != want || strings.Contains(got, "hunter2") {
			t.Errorf("publicURL(%q) = %q, want %q", address, got, want)
		}
	}
}

// FuzzPublicURL: whatever stands before an "@" is gone, ssh's "git" aside.
func FuzzPublicURL(f *testing.F) {
	for _, s := range []string{"https://a:b@c/d", "a@b:c", "ssh://git:x@h/p", "a:b@c:d", "https://a@b@c/d", "//a@b/c"} {
		f.Add(s)
	}
	user := regexp.MustCompile(`^(ssh://|git\+ssh://|ssh\+git://)?git@[^@]*$|^[^@]*$|^[a-z+]+://[^/@]*/.*$`)
	f.Fuzz(func(t *testing.T, address string) {
		if got := publicURL(address); !user.MatchString(got) && !strings.Contains(got, "\n") {
			t.Errorf("publicURL(%q) = %q", address, got)
		}
	})
}
