// SPDX-License-Identifier: Apache-2.0

package internal_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryQuirkHasATest looks for a test function that is called after each quirk that concerns forwarding, and for a comment
// that says what the quirk is.
func TestEveryQuirkHasATest(t *testing.T) {
	tested, explained := map[string]bool{}, map[string]bool{}
	function, comment := regexp.MustCompile(`(?m)^func TestQuirk([ADKU][0-9]+)[A-Z]`), regexp.MustCompile(`(?m)^// quirk ([ADKU][0-9]+)\b`)
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, match := range function.FindAllStringSubmatch(string(content), -1) {
			tested[match[1]] = true
		}
		for _, match := range comment.FindAllStringSubmatch(string(content), -1) {
			explained[match[1]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for letter, last := range map[string]int{"A": 11, "U": 10, "D": 9, "K": 2} {
		for number := 1; number <= last; number++ {
			if quirk := fmt.Sprint(letter, number); !tested[quirk] || !explained[quirk] {
				t.Errorf("quirk %s: has a test: %v; is explained beside it: %v", quirk, tested[quirk], explained[quirk])
			}
		}
	}
}
