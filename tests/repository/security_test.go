// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const policy = ".github/SECURITY.md"

// TestEachPromiseHasItsTest: every row of the threat model names tests, and each exists in the package that is
// named before it.
func TestEachPromiseHasItsTest(t *testing.T) {
	_, section, found := strings.Cut(read(t, policy), "\n## What is protected")
	table, _, ended := strings.Cut(section, "\n## ")
	if !found || !ended {
		t.Fatalf("%s has no threat model", policy)
	}
	rows := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(line, "|\n"), "|")
		if len(cells) != 3 || !strings.Contains(line, "`") {
			continue
		}
		rows++
		if problem := missing(t, cells[2]); problem != "" {
			t.Errorf("%s, %q: %s", policy, strings.TrimSpace(cells[1]), problem)
		}
	}
	if rows < 15 {
		t.Errorf("%s has %d rows", policy, rows)
	}
}

// missing says what is wrong with a list of tests: `package`: `Test`, `Test`; `package`: ….
func missing(t *testing.T, list string) string {
	t.Helper()
	for group := range strings.SplitSeq(list, ";") {
		names := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(group, -1)
		if len(names) < 2 {
			return "no test in " + group
		}
		sources, err := filepath.Glob(filepath.Join(top, names[0][1], "*_test.go"))
		if err != nil || len(sources) == 0 {
			return "no tests in " + names[0][1]
		}
		var code strings.Builder
		for _, source := range sources {
			text, err := os.ReadFile(source)
			if err != nil {
				t.Fatal(err)
			}
			code.Write(text)
		}
		for _, name := range names[1:] {
			if !regexp.MustCompile(`^(Test|Fuzz)[A-Z]\w+$`).MatchString(name[1]) || !strings.Contains(code.String(), "\nfunc "+name[1]+"(") {
				return names[0][1] + " has no " + name[1]
			}
		}
	}
	return ""
}

// TestMissingTestsAreFound, so that the test above can fail.
func TestMissingTestsAreFound(t *testing.T) {
	for list, bad := range map[string]bool{
		"`tests/repository`: `TestMissingTestsAreFound`":                                 false,
		"`tests/repository`: `TestMissingTestsAreFound`, `TestEachPromiseHasItsTest`":    false,
		"`tests/repository`: `TestThatNobodyWrote`":                                      true,
		"`tests/repository`: `TestMissingTestsAreFound`, `TestThatNobodyWrote`":          true,
		"`tests/repository`: `TestMissingTestsAreFound`; `tests/nowhere`: `TestNothing`": true,
		"`tests/repository`":       true,
		"":                         true,
		"`tests/repository`: none": true,
	} {
		if problem := missing(t, list); (problem != "") != bad {
			t.Errorf("%s: %q", list, problem)
		}
	}
}

// TestPolicyIsFound: the pages that people read first name it, and so does the form for issues.
func TestPolicyIsFound(t *testing.T) {
	for _, file := range []string{"README.md", "CONTRIBUTING.md"} {
		if !strings.Contains(read(t, file), "("+policy+")") {
			t.Errorf("%s does not name %s", file, policy)
		}
	}
	for _, name := range files(t, ".github/ISSUE_TEMPLATE/*.yml") {
		var form struct {
			Name, Description string
			Body              []map[string]any
			Links             []struct{ URL, About string } `json:"contact_links"`
		}
		parse(t, name, &form)
		if form.Name == "" && len(form.Links) == 0 || form.Name != "" && (form.Description == "" || len(form.Body) == 0) {
			t.Errorf("%s is no form that GitHub takes", name)
		}
	}
}
