// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// alwaysFirst is excluded unless a pattern takes it back ("!.git"): git rewrites files in there without any
// change to the source, so the digest would never be the same twice.
const alwaysFirst = ".git"

// exclusions decide what is left out, in the course of one walk: a directory is asked about before what is in
// it.
type exclusions struct {
	src  source
	name string // of the ignore files; empty: there are none
	// lists are those of the directories that the walk is in, after the default.
	lists   []ignoreList
	appsCLI *appsCLI // nil where the Apps CLI would not read the same file
}

func loadExclusions(src source, opts Options) (*exclusions, error) {
	e := &exclusions{src: src, name: opts.ExcludeFile}
	e.lists = []ignoreList{{".", []pattern{parsePattern(alwaysFirst)}}}
	text, err := e.enter(".")
	if errors.Is(err, fs.ErrNotExist) && !opts.ExcludeFileOptional {
		return nil, fmt.Errorf("exclude file %s: %w; it is looked for in the root of the source", e.name, reason(err))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if e.name == DefaultExcludeFile {
		e.appsCLI = newAppsCLI(text)
	}
	return e, nil
}

// enter reads the ignore file of a directory.
func (e *exclusions) enter(dir string) ([]byte, error) {
	if e.name == "" {
		return nil, nil
	}
	at := path.Join(dir, e.name)
	f, err := e.src.readFile(at)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("exclude file %s: %w", at, reason(err))
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxIgnoreFile+1))
	if err != nil {
		return nil, fmt.Errorf("exclude file %s: %w", at, reason(err))
	}
	if len(text) > maxIgnoreFile {
		return nil, fmt.Errorf("exclude file %s: it is longer than %d bytes", at, maxIgnoreFile)
	}
	patterns, err := parseIgnore(text)
	if err != nil {
		return nil, fmt.Errorf("exclude file %s: %w", at, err)
	}
	e.lists = append(e.lists, ignoreList{dir, patterns})
	return text, nil
}

// leave forgets the ignore files of directories that the walk has left.
func (e *exclusions) leave(name string) {
	for {
		last := e.lists[len(e.lists)-1]
		if _, inside := last.below(name); inside {
			return
		}
		e.lists = e.lists[:len(e.lists)-1]
	}
}

// keeps decides about one entry, and reads the ignore file of a directory that stays.
func (e *exclusions) keeps(item entry) (bool, error) {
	if item.path == "." {
		return true, nil
	}
	e.leave(item.path)
	excluded := ignores(e.lists, item.path, item.kind == directory)
	if e.appsCLI != nil {
		e.appsCLI.compare(item.path, excluded)
	}
	// The file that a path names ("ci/ignore") is one for the whole tree.
	if !excluded && item.kind == directory && !strings.Contains(e.name, "/") {
		if _, err := e.enter(item.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	return !excluded, nil
}

// appsCLI finds out whether the Apps CLI would push the same. It reads the file in the root alone, takes a
// line for a literal path from there, and leaves nothing out by itself.
type appsCLI struct {
	paths           map[string]bool
	inside          string // a directory that it leaves out, with a slash
	pushes, omits   string // the first path of each kind
	pushed, omitted int
}

func newAppsCLI(text []byte) *appsCLI {
	a := &appsCLI{paths: map[string]bool{}}
	for line := range strings.SplitSeq(string(text), "\n") {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") {
			a.paths[strings.TrimSuffix(line, "/")] = true
		}
	}
	return a
}

func (a *appsCLI) compare(name string, excluded bool) {
	if a.inside != "" && strings.HasPrefix(name, a.inside) {
		return
	}
	switch theirs := a.paths[name]; {
	case theirs && !excluded:
		a.inside = name + "/"
		if a.omitted++; a.omits == "" {
			a.omits = name
		}
	case excluded && !theirs:
		if a.pushed++; a.pushes == "" {
			a.pushes = name
		}
	}
}

// notice is what to tell the developer, in one line; empty when the Apps CLI would push the same.
func (a *appsCLI) notice() string {
	if a == nil || a.pushed+a.omitted == 0 {
		return ""
	}
	var differs []string
	for _, d := range []struct {
		verb, first string
		count       int
	}{{"push", a.pushes, a.pushed}, {"leave out", a.omits, a.omitted}} {
		switch d.count {
		case 0:
		case 1:
			differs = append(differs, fmt.Sprintf("%s %s", d.verb, d.first))
		default:
			differs = append(differs, fmt.Sprintf("%s %s and %d more", d.verb, d.first, d.count-1))
		}
	}
	why := "a line of " + DefaultExcludeFile + " is a literal path from the root to it"
	if a.pushes == alwaysFirst && a.pushed == 1 && a.omitted == 0 {
		why = "write " + alwaysFirst + " into " + DefaultExcludeFile + " for both to push the same"
	}
	return fmt.Sprintf("The Apps CLI would %s: %s.", strings.Join(differs, ", and "), why)
}
