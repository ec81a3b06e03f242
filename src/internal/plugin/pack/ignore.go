// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// pattern is one line of an ignore file (gitignore(5)).
type pattern struct {
	text string
	// negated takes back what an earlier pattern excludes.
	negated bool
	// dirOnly matches directories only.
	dirOnly bool
	// anchored matches the whole path from the file's directory; others match the last element, at any depth.
	anchored bool
}

// The limits of an ignore file. No path is longer than a line may be (PATH_MAX).
const (
	maxIgnoreLine = 4096
	maxIgnoreFile = 1 << 20
)

var errUTF16 = errors.New("it is not UTF-8 text (UTF-16?); save it as UTF-8")

// parseIgnore reads patterns, one a line; errors name the line. A byte order mark and carriage returns, which
// editors on Windows leave, are not part of a pattern.
func parseIgnore(text []byte) ([]pattern, error) {
	if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) {
		return nil, fmt.Errorf("line 1: %w", errUTF16)
	}
	var patterns []pattern
	number := 0
	for line := range strings.SplitSeq(strings.TrimPrefix(string(text), "\ufeff"), "\n") {
		number++
		switch {
		case strings.Contains(line, "\x00"):
			return nil, fmt.Errorf("line %d: %w", number, errUTF16)
		case len(line) > maxIgnoreLine:
			return nil, fmt.Errorf("line %d: it is longer than %d bytes, as no path is", number, maxIgnoreLine)
		case line == "" || line[0] == '#':
			continue
		}
		if p := parsePattern(trimSpaces(strings.TrimSuffix(line, "\r"))); p.text != "" {
			patterns = append(patterns, p)
		}
	}
	return patterns, nil
}

// parsePattern reads one. What has no text matches nothing.
func parsePattern(line string) pattern {
	var p pattern
	p.text, p.negated = strings.CutPrefix(line, "!")
	p.text, p.dirOnly = strings.CutSuffix(p.text, "/")
	p.anchored = strings.Contains(p.text, "/")
	p.text = strings.TrimPrefix(p.text, "/")
	return p
}

// trimSpaces cuts trailing spaces, except one after a backslash.
func trimSpaces(line string) string {
	end := 0 // of what stays
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case ' ':
			continue
		case '\\':
			i++
		}
		end = i + 1
	}
	return line[:min(end, len(line))]
}

func (p pattern) match(rel string, isDir bool) bool {
	switch {
	case p.dirOnly && !isDir:
		return false
	case p.anchored:
		return wildmatch(p.text, rel, true)
	default:
		return wildmatch(p.text, path.Base(rel), false)
	}
}

// ignoreList is one ignore file.
type ignoreList struct {
	dir      string // where the file is
	patterns []pattern
}

// below returns a path relative to the list's directory; false for one that is elsewhere.
func (l ignoreList) below(name string) (string, bool) {
	if l.dir == "." {
		return name, true
	}
	return strings.CutPrefix(name, l.dir+"/")
}

// ignores decides about one path, whose directory is not excluded: the last pattern that matches counts, of
// the innermost file that has one. lists go from the outermost to the innermost.
func ignores(lists []ignoreList, name string, isDir bool) bool {
	for _, l := range slices.Backward(lists) {
		rel, here := l.below(name)
		if !here {
			continue
		}
		for _, p := range slices.Backward(l.patterns) {
			if p.match(rel, isDir) {
				return !p.negated
			}
		}
	}
	return false
}
