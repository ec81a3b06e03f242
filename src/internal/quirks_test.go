// SPDX-License-Identifier: Apache-2.0

package internal_test

import (
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the lists of tests into quirks.md")

const quirksPage = "../quirks.md"

// TestQuirks holds src/quirks.md against the tests: every quirk there has a test that is named after it and a
// comment that says what it is, every such test has its quirk there, and the page lists them.
func TestQuirks(t *testing.T) {
	tests, explained := quirkTests(t)
	content, err := os.ReadFile(quirksPage)
	if err != nil {
		t.Fatal(err)
	}
	entry := regexp.MustCompile(`(?m)^### ([ADKU][0-9]+)\n((?:[^#\n].*\n|\n)*?)Tests: .*\n(?:  .*\n)*`)
	described := map[string]bool{}
	page := entry.ReplaceAllStringFunc(string(content), func(text string) string {
		match := entry.FindStringSubmatch(text)
		quirk := match[1]
		described[quirk] = true
		if len(tests[quirk]) == 0 || !explained[quirk] {
			t.Errorf("quirk %s has %d tests; explained beside one of them: %v", quirk, len(tests[quirk]), explained[quirk])
		}
		return "### " + quirk + "\n" + match[2] + listOf(tests[quirk])
	})
	for quirk := range tests {
		if !described[quirk] {
			t.Errorf("quirk %s has tests and no place in %s", quirk, quirksPage)
		}
	}
	if page == string(content) {
		return
	}
	if !*update {
		t.Fatalf("the lists of tests in %s are old: run go test ./src/internal -run TestQuirks -update", quirksPage)
	}
	if err := os.WriteFile(quirksPage, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
}

// quirkTests returns the tests of each quirk, as "package: name", and which quirks a comment explains.
func quirkTests(t *testing.T) (tests map[string][]string, explained map[string]bool) {
	t.Helper()
	tests, explained = map[string][]string{}, map[string]bool{}
	function := regexp.MustCompile(`(?m)^func (TestQuirk([ADKU][0-9]+)[A-Z_]\w*)`)
	comment := regexp.MustCompile(`(?m)^// quirk ([ADKU][0-9]+)\b`)
	for _, root := range []string{".", "../../tests"} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, match := range function.FindAllStringSubmatch(string(content), -1) {
				place := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "../../")
				tests[match[2]] = append(tests[match[2]], fmt.Sprintf("%s: `%s`", place, match[1]))
			}
			for _, match := range comment.FindAllStringSubmatch(string(content), -1) {
				explained[match[1]] = true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return tests, explained
}

// listOf writes tests as lines of at most 110 columns, grouped by package.
func listOf(tests []string) string {
	if len(tests) == 0 {
		return "Tests: none.\n"
	}
	groups := map[string][]string{}
	for _, each := range tests {
		place, name, _ := strings.Cut(each, ": ")
		groups[place] = append(groups[place], name)
	}
	var text []string
	for _, place := range slices.Sorted(maps.Keys(groups)) {
		slices.Sort(groups[place])
		text = append(text, place+": "+strings.Join(groups[place], ", "))
	}
	line, lines := "Tests:", []string(nil)
	for word := range strings.FieldsSeq(strings.Join(text, "; ")) {
		if len(line)+1+len(word) > 110 {
			lines, line = append(lines, line), " "
		}
		line += " " + word
	}
	return strings.Join(append(lines, line), "\n") + ".\n"
}
