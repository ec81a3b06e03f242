// SPDX-License-Identifier: Apache-2.0

package license

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/strictyaml"
)

// object is a mapping of the file, with its lines. Package strictyaml reads files whose keys may be shown;
// here a key can be the id, when somebody takes one file for the other.
type object struct {
	path   string // dotted, empty for the root
	line   int
	fields map[string]*yaml.Node
	lines  map[string]int // of the keys
	order  []string
}

// text is a value of the file; for one that is not there the line is that of the mapping.
type text struct {
	value string
	line  int
}

// at says where in the file something is wrong; an unknown line or key is left out.
func at(line int, key string, err error) error {
	if key != "" {
		err = fmt.Errorf("%s %w", key, err)
	}
	if line > 0 {
		err = fmt.Errorf("line %d: %w", line, err)
	}
	return err
}

// notYAML says where data is no YAML, and why, in words that do not quote it.
func notYAML(data []byte, err error) error {
	line, problem := strictyaml.Mistake(data, err)
	return at(line, "", fmt.Errorf("is not valid YAML: %s: correct it", problem))
}

// mapping makes an object of the node at the path.
func mapping(n *yaml.Node, path string) (object, error) {
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		return object{}, at(n.Line, cmp.Or(path, "the file"), errors.New("is not a mapping of keys to values"))
	}
	found := object{path: path, line: n.Line, fields: map[string]*yaml.Node{}, lines: map[string]int{}}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if _, twice := found.fields[key.Value]; twice {
			return object{}, at(key.Line, "", errors.New("a key for the second time: keep one of them"))
		}
		found.fields[key.Value], found.lines[key.Value] = n.Content[i+1], key.Line
		found.order = append(found.order, key.Value)
	}
	return found, nil
}

// resolve follows an alias to what it stands for.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func (o object) has(key string) bool { return o.fields[key] != nil }

func (o object) join(key string) string {
	if o.path == "" {
		return key
	}
	return o.path + "." + key
}

// object reads a mapping inside this one.
func (o object) object(key string) (object, error) {
	if !o.has(key) {
		return object{}, at(o.line, o.join(key), errors.New("is missing"))
	}
	return mapping(o.fields[key], o.join(key))
}

// text reads a scalar; one that is missing or null is empty.
func (o object) text(key string) (text, error) {
	if !o.has(key) {
		return text{line: o.line}, nil
	}
	n := resolve(o.fields[key])
	switch {
	case n.Kind != yaml.ScalarNode:
		return text{}, at(o.lines[key], o.join(key), errors.New("is not a single value"))
	case n.ShortTag() == "!!null":
		return text{line: n.Line}, nil
	default:
		return text{value: n.Value, line: n.Line}, nil
	}
}

// only refuses keys beside the given ones. A key can be a value in the wrong place, so that it is not
// repeated.
func (o object) only(known ...string) error {
	for _, key := range o.order {
		if !slices.Contains(known, key) {
			return at(o.lines[key], cmp.Or(o.path, "the file"),
				fmt.Errorf("has no such key: choose from %s", strings.Join(known, ", ")))
		}
	}
	return nil
}
