// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// permissions are those of a workflow or job: a map, or one word for all.
type permissions map[string]string

func (p *permissions) UnmarshalJSON(data []byte) error {
	var all map[string]string
	if err := yaml.Unmarshal(data, &all); err != nil {
		all = map[string]string{"all": strings.Trim(string(data), `"`)}
	}
	*p = all
	return nil
}

// write says whether they let a job change anything.
func (p permissions) write() bool {
	return slices.ContainsFunc(slices.Collect(maps.Values(p)), func(level string) bool { return strings.HasPrefix(level, "write") })
}

type workflow struct {
	Permissions *permissions
	Jobs        map[string]job
}

type job struct {
	Permissions *permissions
	Needs       any
	Timeout     int `json:"timeout-minutes"`
	Strategy    struct{ Matrix struct{ Stage []string } }
	Steps       []struct {
		Uses, Run string
		With      map[string]any
	}
}

func workflows(t *testing.T) map[string]workflow {
	t.Helper()
	all := map[string]workflow{}
	for _, file := range files(t, ".github/workflows/*") {
		var w workflow
		parse(t, file, &w)
		if len(w.Jobs) == 0 {
			t.Errorf("%s has no jobs", file)
		}
		all[file] = w
	}
	return all
}

// TestActionsArePinned: a tag of an action can be moved, a commit cannot. The version stands beside it, so that
// Dependabot and people know what it is.
func TestActionsArePinned(t *testing.T) {
	pinned := regexp.MustCompile(`^\s*(- )?uses: (\./\S+|[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$`)
	commits := map[string]string{}
	for _, file := range append(files(t, ".github/workflows/*"), files(t, ".github/actions/*/action.yml")...) {
		for line := range strings.Lines(read(t, file)) {
			line = strings.TrimRight(line, "\n")
			if !strings.Contains(line, "uses:") || strings.HasPrefix(strings.TrimSpace(line), "#") {
				continue
			}
			if !pinned.MatchString(line) {
				t.Errorf("%s: %q names no commit with its version", file, strings.TrimSpace(line))
			}
			name, commit, _ := strings.Cut(strings.TrimSpace(line), "@")
			if before, known := commits[name]; known && before != commit {
				t.Errorf("%s: %s is %s here and %s elsewhere", file, name, commit, before)
			}
			commits[name] = commit
		}
	}
}

// TestStagesOfCI: the workflow runs what .ci/run runs, each stage once.
func TestStagesOfCI(t *testing.T) {
	list := regexp.MustCompile(`(?m)^stages=\((.*)\)$`).FindStringSubmatch(read(t, ".ci/run"))
	if list == nil {
		t.Fatal(".ci/run has no list of stages")
	}
	stages := strings.Fields(list[1])
	check := workflows(t)[".github/workflows/ci.yml"].Jobs["check"]
	if diff := cmp.Diff(stages, check.Strategy.Matrix.Stage); diff != "" {
		t.Errorf("the stages differ (-.ci/run +ci.yml):\n%s", diff)
	}
	if !slices.ContainsFunc(targets(check), func(target string) bool { return target == "${{" }) {
		t.Error("the job does not run its stage")
	}
	known := makeTargets(t)
	for _, stage := range stages {
		if !slices.Contains(known, stage) {
			t.Errorf("make has no target %s", stage)
		}
	}
}

// makeTargets are the targets that the Makefile has.
func makeTargets(t *testing.T) []string {
	t.Helper()
	var known []string
	for _, match := range regexp.MustCompile(`(?m)^([a-z-]+):`).FindAllStringSubmatch(read(t, "Makefile"), -1) {
		known = append(known, match[1])
	}
	return known
}

// targets are the make targets of a job; of one that the matrix names, the first word.
func targets(j job) []string {
	var all []string
	for _, step := range j.Steps {
		for _, match := range regexp.MustCompile(`(?m)^\s*make ((?:[a-z-]+[ \t]*|\$\{\{)+)`).FindAllStringSubmatch(step.Run, -1) {
			all = append(all, strings.Fields(match[1])...)
		}
	}
	return all
}

// TestWorkflowsCallMake: whatever CI does can be done by hand.
func TestWorkflowsCallMake(t *testing.T) {
	known := append(makeTargets(t), "${{")
	for file, w := range workflows(t) {
		called := 0
		for name, j := range w.Jobs {
			for _, target := range targets(j) {
				if called++; !slices.Contains(known, target) {
					t.Errorf("%s, job %s: make has no target %q", file, name, target)
				}
			}
		}
		if called == 0 {
			t.Errorf("%s calls no make target", file)
		}
	}
}

// TestRightsOfWorkflows: a workflow has rights by its own word, every right to write belongs to one job, and
// that job runs no tests: what a test downloads or starts must not find a token that can publish.
func TestRightsOfWorkflows(t *testing.T) {
	tests := regexp.MustCompile(`(^|-)(test|verify|fresh|demo|fuzz|bench|vulncheck)$`)
	writers := 0
	for file, w := range workflows(t) {
		if w.Permissions == nil || w.Permissions.write() {
			t.Errorf("%s: say at the top which rights all jobs have, and none to write", file)
		}
		for name, j := range w.Jobs {
			if j.Timeout == 0 {
				t.Errorf("%s, job %s may run for hours: give it timeout-minutes", file, name)
			}
			if j.Permissions == nil || !j.Permissions.write() {
				for _, step := range j.Steps {
					if strings.HasPrefix(step.Uses, "actions/checkout@") && step.With["persist-credentials"] != false {
						t.Errorf("%s, job %s: checkout leaves its token to the tests: persist-credentials: false", file, name)
					}
				}
				continue
			}
			writers++
			for _, target := range targets(j) {
				if tests.MatchString(target) {
					t.Errorf("%s, job %s may write and runs make %s: give that to another job", file, name, target)
				}
			}
			if j.Needs == nil {
				t.Errorf("%s, job %s may write and waits for no job with tests", file, name)
			}
		}
	}
	if writers == 0 {
		t.Error("no job publishes a release: this test has nothing to look at")
	}
}

// TestGoOfWorkflows: setup-go takes the version, patch included, from the line toolchain of go.mod; version 5 and
// older read the line go.
func TestGoOfWorkflows(t *testing.T) {
	for file, w := range workflows(t) {
		for name, j := range w.Jobs {
			for _, step := range j.Steps {
				if !strings.HasPrefix(step.Uses, "actions/setup-go@") {
					continue
				}
				if step.With["go-version-file"] != "go.mod" || step.With["go-version"] != nil {
					t.Errorf("%s, job %s: let setup-go read go.mod", file, name)
				}
			}
		}
		for _, match := range regexp.MustCompile(`actions/setup-go@\S+ # v(\d+)`).FindAllStringSubmatch(read(t, file), -1) {
			if len(match[1]) == 1 && match[1] < "6" {
				t.Errorf("%s: setup-go v%s does not know the line toolchain", file, match[1])
			}
		}
	}
}
