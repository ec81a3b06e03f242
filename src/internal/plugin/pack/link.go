// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// maxHops is how many links one path may lead through, as on Linux (path_resolution(7)).
const maxHops = 40

var (
	errAbsolute = errors.New("its target is absolute")
	errEscapes  = errors.New("its target is outside of the tree")
	errMissing  = errors.New("its target is not among the packed files")
	errLoop     = errors.New("it leads back to itself")
)

// checkLinks accepts a link only when whoever unpacks the image finds a packed file or directory behind it, and nothing else.
// Names are not enough for that ("a/../../x" depends on what "a" is), so every step is looked up among the entries.
func checkLinks(entries []entry) error {
	tree := make(map[string]entry, len(entries))
	for _, e := range entries {
		tree[e.path] = e
	}
	for _, e := range entries {
		if e.kind != link {
			continue
		}
		if _, err := resolve(tree, e.path, 0); err != nil {
			return fmt.Errorf("link %s -> %s: %w; replace it by a file, or exclude it in %s", e.path, e.target, err, DefaultExcludeFile)
		}
	}
	return nil
}

// resolve follows links until a path of a file or directory remains.
func resolve(tree map[string]entry, at string, hops int) (string, error) {
	if hops > maxHops {
		return "", errLoop
	}
	e, found := tree[at]
	if !found {
		return "", errMissing
	}
	if e.kind != link {
		return at, nil
	}
	if e.target == "" || strings.HasPrefix(e.target, "/") || strings.Contains(e.target, ":") || strings.Contains(e.target, "\\") {
		return "", errAbsolute
	}
	where := path.Dir(at)
	for step := range strings.SplitSeq(e.target, "/") {
		var err error
		switch step {
		case "", ".":
			continue
		case "..":
			if where == "." {
				return "", errEscapes
			}
			where = path.Dir(where)
		default:
			if where, err = resolve(tree, path.Join(where, step), hops+1); err != nil {
				return "", err
			}
		}
	}
	return where, nil
}
