// SPDX-License-Identifier: Apache-2.0

package command

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// repository makes one of git with one commit, and returns the commit.
func repository(t *testing.T, dir string) string {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte(dir), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"init", "--quiet"}, {"add", "."}, {"-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "one"},
	} {
		if out, err := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	out, err := exec.CommandContext(t.Context(), "git", "-C", dir, "rev-parse", "HEAD").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func needsGit(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
}

// TestOriginIsTheSources: a hook of git, and who works with several repositories, has variables in the
// environment that say which one is meant. The source says that.
func TestOriginIsTheSources(t *testing.T) {
	needsGit(t)
	source, other := t.TempDir(), t.TempDir()
	head := repository(t, source)
	if repository(t, other) == head {
		t.Fatal("both repositories have the same commit")
	}
	metadata := filepath.Join(other, ".git")
	for name, value := range map[string]string{
		"GIT_DIR": metadata, "GIT_WORK_TREE": other, "GIT_INDEX_FILE": filepath.Join(metadata, "index"),
		"GIT_OBJECT_DIRECTORY": filepath.Join(metadata, "objects"), "GIT_COMMON_DIR": metadata,
		"GIT_NAMESPACE": "other", "GIT_PREFIX": "other/", "GIT_CONFIG": filepath.Join(metadata, "config"),
		"GIT_CONFIG_PARAMETERS": "'core.worktree=" + other + "'", "GIT_LITERAL_PATHSPECS": "1",
		"GIT_REPLACE_REF_BASE": "refs/heads/", "GIT_SHALLOW_FILE": filepath.Join(metadata, "HEAD"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			for _, path := range []string{source, filepath.Join(source, "file")} {
				origin, err := gitOrigin(t.Context(), path)
				if err != nil || origin[revisionAnnotation] != head {
					t.Errorf("%s: %v, %v, want %s", path, origin, err, head)
				}
			}
		})
	}
}

// TestGitIsToldOfNoRepository has git as its oracle. What configures git for its user stays.
func TestGitIsToldOfNoRepository(t *testing.T) {
	needsGit(t)
	out, err := exec.CommandContext(t.Context(), "git", "rev-parse", "--local-env-vars").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields(string(out)) {
		stays := name == "GIT_CONFIG_PARAMETERS" || name == "GIT_CONFIG_COUNT"
		if kept := len(withoutRepository([]string{name + "=x"})) == 1; kept != stays {
			t.Errorf("%s: kept: %v, want %v", name, kept, stays)
		}
	}
	for _, entry := range []string{"GIT_CONFIG_GLOBAL=x", "GIT_CONFIG_KEY_0=safe.directory", "PATH=GIT_DIR", "GIT_DIRECTORY=x"} {
		if len(withoutRepository([]string{entry})) != 1 {
			t.Errorf("%s is gone", entry)
		}
	}
}

// TestOriginsErrors are one line: what is wrong, and what to do.
func TestOriginsErrors(t *testing.T) {
	needsGit(t)
	for name, test := range map[string]struct {
		prepare func(t *testing.T, dir string)
		want    string
	}{
		"no repository": {func(*testing.T, string) {}, "DIR is not a git repository: leave --origin out, or push from a clone"},
		"no commit": {
			func(t *testing.T, dir string) {
				repository(t, dir)
				if err := os.RemoveAll(filepath.Join(dir, ".git", "refs", "heads")); err != nil {
					t.Fatal(err)
				}
				if err := os.MkdirAll(filepath.Join(dir, ".git", "refs", "heads"), 0o700); err != nil {
					t.Fatal(err)
				}
			}, "the git repository of DIR has no commit yet: commit, or leave --origin out",
		},
		"another owner": {
			func(t *testing.T, dir string) {
				repository(t, dir)
				t.Setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1") // git's own, for its tests
			}, "another user owns DIR, and git does not read it: run git config --global --add safe.directory DIR",
		},
		"no tree": {
			func(t *testing.T, dir string) {
				repository(t, dir)
				if out, err := exec.CommandContext(t.Context(), "git", "-C", dir, "config", "core.bare", "true").CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			}, "git status in DIR: this operation must be run in a work tree",
		},
		"a broken repository": {
			func(t *testing.T, dir string) {
				repository(t, dir)
				if err := os.WriteFile(filepath.Join(dir, ".git", "config"), []byte("[core\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}, "git rev-parse in DIR: bad config line 1 in file .git/config",
		},
		"no directory": {
			func(t *testing.T, dir string) {
				if err := os.Remove(dir); err != nil {
					t.Fatal(err)
				}
			}, "stat DIR: no such file or directory",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			test.prepare(t, dir)
			_, err = gitOrigin(t.Context(), dir)
			if err == nil || err.Error() != strings.ReplaceAll(test.want, "DIR", dir) {
				t.Errorf("error %v\nwant  %s", err, strings.ReplaceAll(test.want, "DIR", dir))
			}
		})
	}
}
