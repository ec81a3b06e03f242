// SPDX-License-Identifier: Apache-2.0

package strictyaml

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Mistake says on which line of a text the mistake is that the YAML library's error err is about, and what it
// is, without a word of the text.
//
// The library counts the lines of some mistakes from 0 and those of others from 1, has none for the first
// line, and for a mistake inside a block it has where the block begins.
func Mistake(text []byte, err error) (line int, problem string) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	_, problem = said(err)
	again := func(text []byte) (line int, same bool) {
		line, found := said(syntax(text))
		return line, found == problem
	}
	line, same := again(append([]byte("\n"), text...)) // so that no line is the first
	switch {
	case !same, line == 0, inBlock(problem):
		lines := bytes.SplitAfter(text, []byte("\n"))
		line = 1 + sort.Search(len(lines)-1, func(i int) bool {
			_, same := again(bytes.Join(lines[:i+1], nil))
			return same
		})
	case !fromZero(problem):
		line--
	}
	if strings.HasPrefix(problem, "unknown anchor") {
		problem = "an alias (*) of no anchor (&)"
	}
	return min(line, written(text)), problem
}

// said takes the library's error apart; the line is 0 where it has none.
func said(err error) (line int, problem string) {
	if err == nil {
		return 0, ""
	}
	match := regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(?s:(.*))$`).FindStringSubmatch(err.Error())
	line, _ = strconv.Atoi(match[1])
	return line, strings.Join(strings.Fields(match[2]), " ")
}

// syntax returns the library's error about a text.
func syntax(text []byte) error {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		if err := decoder.Decode(new(yaml.Node)); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// fromZero reports whether the library counts the lines of a mistake from 0, as it does where its parser, and
// not its scanner, found it.
func fromZero(problem string) bool {
	switch problem {
	case "did not find expected <stream-start>", "did not find expected <document start>", "did not find expected node content",
		"did not find expected ',' or ']'", "did not find expected ',' or '}'", "found undefined tag handle",
		"found duplicate %YAML directive", "found duplicate %TAG directive", "found incompatible YAML document":
		return true
	}
	return false
}

// inBlock reports whether the library has the line on which a block begins, or one before, and not that of
// the mistake in it.
func inBlock(problem string) bool {
	return problem == "did not find expected key" || problem == "did not find expected '-' indicator" ||
		strings.HasPrefix(problem, "found a tab character")
}

// written is the last line with more than a comment, behind which something may be missing.
func written(text []byte) int {
	last, line := 1, 0
	for each := range bytes.Lines(text) {
		line++
		if each = bytes.TrimSpace(each); len(each) > 0 && each[0] != '#' {
			last = line
		}
	}
	return last
}
