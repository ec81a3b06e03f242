// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
)

// alwaysFirst is excluded unless a pattern takes it back ("!.git"): git rewrites files in there without any change to the
// source, so the digest would never be the same twice.
const alwaysFirst = ".git"

// exclusions are the patterns of one exclude file, in .gitignore syntax.
type exclusions struct {
	matcher gitignore.Matcher
}

func loadExclusions(src source, opts Options) (exclusions, error) {
	if opts.ExcludeFile == "" {
		return parseExclusions(strings.NewReader(""))
	}
	f, err := src.readFile(opts.ExcludeFile)
	if errors.Is(err, fs.ErrNotExist) && opts.ExcludeFileOptional {
		return parseExclusions(strings.NewReader(""))
	}
	if err != nil {
		return exclusions{}, fmt.Errorf("exclude file %s: %w; it is looked for in the root of the source", opts.ExcludeFile, reason(err))
	}
	defer f.Close()
	e, err := parseExclusions(f)
	if err != nil {
		return exclusions{}, fmt.Errorf("exclude file %s: %w", opts.ExcludeFile, reason(err))
	}
	return e, nil
}

// parseExclusions reads patterns: one a line, "#" begins a comment, later ones win. A byte order mark and carriage returns,
// which editors on Windows leave, are not part of a pattern.
func parseExclusions(r io.Reader) (exclusions, error) {
	patterns := []gitignore.Pattern{gitignore.ParsePattern(alwaysFirst, nil)}
	lines := bufio.NewScanner(r)
	for first := true; lines.Scan(); first = false {
		line := strings.TrimSuffix(lines.Text(), "\r")
		if first {
			line = strings.TrimPrefix(line, "\ufeff")
		}
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		patterns = append(patterns, gitignore.ParsePattern(line, nil))
	}
	return exclusions{gitignore.NewMatcher(patterns)}, lines.Err()
}

func (e exclusions) match(path string, isDir bool) bool {
	return path != "." && e.matcher.Match(strings.Split(path, "/"), isDir)
}
