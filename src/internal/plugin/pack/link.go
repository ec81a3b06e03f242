// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// maxHops is how many links one path may lead through, all together, as on Linux (path_resolution(7)).
const maxHops = 40

var (
	errAbsolute = errors.New("its target is absolute")
	errEscapes  = errors.New("its target is outside of the tree")
	errMissing  = errors.New("its target is not among the packed files")
	errLoop     = fmt.Errorf("it leads back to itself, or through more than %d links", maxHops)
	errLink     = errors.New("it is a symbolic link, which is lost when the image is unpacked")
)

// withoutLinks refuses symbolic links or, when they are to be followed, puts what they lead to in their
// place. A link leads to a packed file or directory of the same tree, or it is refused.
func withoutLinks(ctx context.Context, entries []entry, follow bool) ([]entry, error) {
	first := slices.IndexFunc(entries, func(e entry) bool { return e.kind == link })
	switch {
	case first < 0:
		return entries, nil
	case !follow:
		return nil, fmt.Errorf("link %s -> %s: %w; store what it leads to with --follow-symlinks, or exclude it in %s",
			entries[first].path, entries[first].target, errLink, DefaultExcludeFile)
	}
	f := &follower{tree: make(map[string]entry, len(entries)), below: map[string][]string{}, open: map[string]bool{}}
	for _, e := range entries {
		f.tree[e.path] = e
		if e.path != "." {
			parent := path.Dir(e.path)
			f.below[parent] = append(f.below[parent], e.path) // in order, as the entries are
		}
	}
	if err := f.add(ctx, ".", "."); err != nil {
		return nil, err
	}
	return f.entries, nil
}

// follower walks a tree of entries through its links.
type follower struct {
	tree    map[string]entry
	below   map[string][]string
	open    map[string]bool // the directories that the walk is in
	entries []entry
}

// add enters what is at one path of the tree under another name, with all that is below it.
func (f *follower) add(ctx context.Context, at, as string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e := f.tree[at]
	if e.kind == link {
		target, err := f.resolve(at)
		if err == nil && f.open[target] {
			err = errLoop
		}
		if err != nil {
			return fmt.Errorf("link %s -> %s: %w; replace it by a file, or exclude it in %s", at, e.target, err,
				DefaultExcludeFile)
		}
		return f.add(ctx, target, as)
	}
	switch {
	case len(f.entries) == maxEntries:
		return fmt.Errorf("with its links followed, %w", errTooMany)
	case len(as) > maxPath:
		return fmt.Errorf("with its links followed, %w", errPath)
	}
	e.path = as
	f.entries = append(f.entries, e)
	if e.kind != directory {
		return nil
	}
	f.open[at] = true
	defer delete(f.open, at)
	for _, child := range f.below[at] {
		if err := f.add(ctx, child, path.Join(as, path.Base(child))); err != nil {
			return err
		}
	}
	return nil
}

// resolve returns the path of the file or directory that a link leads to. Names are not enough for that
// ("a/../../x" depends on what "a" is), so every step is looked up among the entries.
func (f *follower) resolve(at string) (string, error) {
	var rest []string // the steps to go, the next one last
	where, next := path.Dir(at), at
	for hops := 0; ; {
		e, found := f.tree[next]
		switch {
		case !found:
			return "", errMissing
		case e.kind != link:
			where = next
		case hops == maxHops:
			return "", errLoop
		case e.target == "" || path.IsAbs(e.target):
			return "", errAbsolute
		default:
			hops++
			steps := strings.Split(e.target, "/")
			slices.Reverse(steps)
			rest = append(rest, steps...)
		}
		if len(rest) == 0 {
			return where, nil
		}
		if f.tree[where].kind != directory {
			return "", errMissing
		}
		step := rest[len(rest)-1]
		rest = rest[:len(rest)-1]
		next = path.Join(where, step)
		if step == ".." && where == "." {
			return "", errEscapes
		}
	}
}
