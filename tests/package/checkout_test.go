// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// checkout makes a repository of its own in a new directory from the files as they are here. Author and time
// are fixed, so that each has the very same commit.
func checkout(t *testing.T) string {
	t.Helper()
	from, to := root(t), filepath.Join(t.TempDir(), "checkout")
	list := mustRun(t, command{dir: from, args: []string{"git", "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate", "-z"}})
	for file := range strings.SplitSeq(strings.TrimSuffix(list, "\x00"), "\x00") {
		info, err := os.Stat(filepath.Join(from, file))
		if err != nil {
			continue // deleted, and not yet committed
		}
		content, err := os.ReadFile(filepath.Join(from, file))
		if err != nil {
			t.Fatalf("copy: %v", err)
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, file)), 0o755); err != nil {
			t.Fatalf("copy: %v", err)
		}
		if err := os.WriteFile(filepath.Join(to, file), content, info.Mode().Perm()); err != nil {
			t.Fatalf("copy: %v", err)
		}
	}
	// The tools are the same; building them once is enough.
	for _, name := range []string{"crane", "imgpkg", "kbld", "ko", "ytt"} {
		tool(t, name)
	}
	if err := os.Symlink(filepath.Join(from, ".tools"), filepath.Join(to, ".tools")); err != nil {
		t.Fatalf("link .tools: %v", err)
	}
	for _, args := range [][]string{
		{"git", "init", "--quiet", "--initial-branch=main"},
		{"git", "add", "--all"},
		{"git", "commit", "--quiet", "--message=All", "--no-gpg-sign"},
	} {
		mustRun(t, command{dir: to, args: args, env: []string{
			"GIT_AUTHOR_NAME=test", "GIT_AUTHOR_EMAIL=test@example.com", "GIT_AUTHOR_DATE=2026-01-02T03:04:05Z",
			"GIT_COMMITTER_NAME=test", "GIT_COMMITTER_EMAIL=test@example.com", "GIT_COMMITTER_DATE=2026-01-02T03:04:05Z",
			"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		}})
	}
	return to
}

func publish(t *testing.T, dir, registry string, env ...string) result {
	t.Helper()
	return publishVersion(t, dir, registry, version, env...)
}

func publishVersion(t *testing.T, dir, registry, version string, env ...string) result {
	t.Helper()
	return run(t, command{dir: dir, env: env, args: []string{"make", "--silent", "publish", "REGISTRY=" + registry, "VERSION=" + version}})
}

// references returns the lines with digests that publishing ends with.
func references(t *testing.T, stdout, registry string) []string {
	t.Helper()
	var found []string
	for line := range strings.Lines(stdout) {
		if strings.HasPrefix(line, registry) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	if len(found) != 4 {
		t.Fatalf("publishing printed %d references, want those of the image and three bundles:\n%s", len(found), stdout)
	}
	return found
}

func digest(reference string) string {
	return reference[strings.LastIndex(reference, "@")+1:]
}
