// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

const upgrading = "bundle/upgrading.md"

// TestEachVersionHasUpgradeNotes: whoever runs a version that CHANGELOG.md has finds what to do. So does whoever
// runs the original, and whoever runs what the cluster's test upgrades from.
func TestEachVersionHasUpgradeNotes(t *testing.T) {
	notes := read(t, upgrading)
	versions := []string{"0.2.1"}
	for _, heading := range regexp.MustCompile(`(?m)^## \[(\d+\.\d+\.\d+)]`).FindAllStringSubmatch(read(t, "CHANGELOG.md"), -1) {
		versions = append(versions, heading[1])
	}
	for _, version := range versions {
		if !regexp.MustCompile(`(?m)^## From ` + regexp.QuoteMeta(version) + `\b`).MatchString(notes) {
			t.Errorf("%s has no section From %s", upgrading, version)
		}
	}
	for _, name := range regexp.MustCompile("`(TestUpgrade\\w*)`").FindAllStringSubmatch(notes, -1) {
		if problem := missing(t, "`tests/cluster`: `"+name[1]+"`"); problem != "" {
			t.Errorf("%s: %s", upgrading, problem)
		}
	}
}

// TestTheCommitThatIsUpgradedFrom is one, and a part of what was before. A clone may be too shallow to tell.
func TestTheCommitThatIsUpgradedFrom(t *testing.T) {
	var commits []string
	for line := range strings.Lines(read(t, "tests/cluster/before.txt")) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			commits = append(commits, line)
		}
	}
	if len(commits) != 1 || !regexp.MustCompile(`^[0-9a-f]{40}$`).MatchString(commits[0]) {
		t.Fatalf("tests/cluster/before.txt names %q, not one commit", commits)
	}
	git := func(args ...string) error {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = top
		return cmd.Run()
	}
	if git("cat-file", "-e", commits[0]+"^{commit}") != nil {
		t.Skipf("this clone does not have commit %s: git fetch --unshallow", commits[0])
	}
	if git("merge-base", "--is-ancestor", commits[0], "HEAD") != nil {
		t.Errorf("%s is no ancestor of what is checked out", commits[0])
	}
}
