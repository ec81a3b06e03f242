// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// modules are the directories of the Go modules, as Dependabot names them.
func modules(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, file := range files(t, "go.mod", "*/go.mod") {
		all = append(all, path.Join("/", path.Dir(file)))
	}
	slices.Sort(all)
	return all
}

// TestModulesBuildWithTheSameGo: every module names the Go that builds releases, down to the patch. Without the
// line, CI would build with the oldest Go that the module supports, and with its vulnerabilities.
func TestModulesBuildWithTheSameGo(t *testing.T) {
	lines := func(file, word string) string {
		return strings.Join(regexp.MustCompile(`(?m)^`+word+` \S+$`).FindAllString(read(t, file), -1), "; ")
	}
	goes, toolchains := lines("go.mod", "go"), lines("go.mod", "toolchain")
	if !regexp.MustCompile(`^toolchain go\d+\.\d+\.\d+$`).MatchString(toolchains) {
		t.Errorf("go.mod has no line toolchain with a patch, but %q", toolchains)
	}
	for _, file := range files(t, "go.mod", "*/go.mod") {
		if got := lines(file, "go"); got != goes {
			t.Errorf("%s: %q, but go.mod has %q", file, got, goes)
		}
		if got := lines(file, "toolchain"); got != toolchains {
			t.Errorf("%s: %q, but go.mod has %q: go mod edit -toolchain there", file, got, toolchains)
		}
	}
}

// TestUpdatesReachEveryModule: Dependabot looks after each go.mod, and after the actions of the workflows.
func TestUpdatesReachEveryModule(t *testing.T) {
	var config struct {
		Updates []struct {
			Ecosystem   string `json:"package-ecosystem"`
			Directory   string
			Directories []string
			Schedule    struct{ Interval string }
		}
	}
	parse(t, ".github/dependabot.yml", &config)
	watched := map[string][]string{}
	for _, update := range config.Updates {
		if update.Schedule.Interval == "" {
			t.Errorf("%s has no schedule", update.Ecosystem)
		}
		for _, directory := range append(update.Directories, update.Directory) {
			if directory != "" {
				watched[update.Ecosystem] = append(watched[update.Ecosystem], directory)
			}
		}
	}
	slices.Sort(watched["gomod"])
	if diff := cmp.Diff(modules(t), watched["gomod"]); diff != "" {
		t.Errorf("modules in the tree and in .github/dependabot.yml differ (-tree +dependabot):\n%s", diff)
	}
	if !slices.Contains(watched["github-actions"], "/") {
		t.Error("nothing updates the actions of the workflows")
	}
	for _, file := range files(t, "scripts/tools/*/package-lock.json") {
		if directory := path.Join("/", path.Dir(file)); !slices.Contains(watched["npm"], directory) {
			t.Errorf("nothing updates what %s pins", file)
		}
	}
	for _, file := range files(t, ".github/actions/*/action.yml") {
		if directory := path.Join("/", path.Dir(file)); !slices.Contains(watched["github-actions"], directory) {
			t.Errorf("nothing updates the actions that %s uses", file)
		}
	}
}
