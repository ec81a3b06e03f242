// SPDX-License-Identifier: Apache-2.0

package strictyaml

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Format says how Go types stand for YAML.
type Format struct {
	// Tag is the struct tag that has the keys, "yaml" or "json". Where it is "json", text may be written like
	// a date without quotes, as Kubernetes has it.
	Tag string
	// Remedy says what to write in place of an unknown key; "" leaves that to the package. It may be nil.
	Remedy func(parent, key string) string
}

// enough is the number of defects after which no more are looked for.
const enough = 20

// Check reports how a document differs from typ. The place names it in errors; lines is how many lines there
// are above it in that place. Where typ has a boolean, yes and no of YAML 1.1 become true and false in the
// document, which is how JSON has them.
func (f Format) Check(place string, lines int, root *yaml.Node, typ reflect.Type) error {
	c := &checker{Format: f, place: place, lines: lines}
	c.check("", root, typ, false)
	return errors.Join(c.errs...)
}

type checker struct {
	Format
	place string
	lines int
	errs  []error
}

func (c *checker) fail(n *yaml.Node, key, problem, remedy string) {
	c.errs = append(c.errs, &Error{Place: c.place, Line: c.lines + n.Line, Key: key, Problem: problem, Remedy: remedy})
}

// check reports how n differs from typ. In an open mapping unknown keys are ignored. The depth of the
// recursion is that of the types, so aliases that form a circle do no harm.
func (c *checker) check(key string, n *yaml.Node, typ reflect.Type, open bool) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if IsNull(n) || len(c.errs) >= enough {
		return
	}
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if !c.fits(n, typ) {
		problem := fmt.Sprintf("expected %s, found %s", wanted(typ), found(n))
		remedy := "correct the value"
		if typ.Kind() == reflect.String && n.Kind == yaml.ScalarNode {
			remedy = "put it in quotes"
		}
		c.fail(n, key, problem, remedy)
		return
	}
	switch {
	case decodesItself(typ):
	case typ.Kind() == reflect.Struct:
		c.mapping(key, n, typ, open)
	case typ.Kind() == reflect.Map:
		for i := 0; i+1 < len(n.Content); i += 2 {
			c.check(join(key, n.Content[i].Value), n.Content[i+1], typ.Elem(), open)
		}
	case typ.Kind() == reflect.Slice:
		for i, item := range n.Content {
			c.check(key+"["+strconv.Itoa(i)+"]", item, typ.Elem(), open)
		}
	}
}

func (c *checker) mapping(parent string, n *yaml.Node, typ reflect.Type, open bool) {
	fields := c.fieldsByKey(typ)
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content) && len(c.errs) < enough; i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		if name.Kind != yaml.ScalarNode || name.ShortTag() == "!!merge" {
			c.fail(name, parent, "a key that is not a plain word", "write every key out, without << and *")
			continue
		}
		key := join(parent, name.Value)
		if line, twice := seen[name.Value]; twice {
			c.fail(name, key, fmt.Sprintf("the key is already on line %d", c.lines+line), "keep one of them")
			continue
		}
		seen[name.Value] = name.Line
		field, known := fields[name.Value]
		switch {
		case known:
			c.check(key, value, field.Type, open || field.Tag.Get("keys") == "open")
			n.Content[i+1] = plainBool(value, field.Type)
		case !open:
			c.fail(name, key, "unknown key", c.remedyForKey(parent, name.Value, fields))
		}
	}
}

// plainBool is a node of its own for the boolean that n can become: what n is elsewhere, by an alias, stays.
func plainBool(n *yaml.Node, typ reflect.Type) *yaml.Node {
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	var value bool
	if typ.Kind() != reflect.Bool || n.ShortTag() == "!!bool" || IsNull(n) || n.Decode(&value) != nil {
		return n
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(value), Line: n.Line,
		Column: n.Column}
}

// fits reports whether n itself, not what is in it, can become a typ.
func (c *checker) fits(n *yaml.Node, typ reflect.Type) bool {
	switch {
	case typ.Kind() == reflect.Interface:
		return true
	case implements[json.Unmarshaler](typ):
		text, err := JSON(n)
		return err == nil && json.Unmarshal(text, reflect.New(typ).Interface()) == nil
	case implements[encoding.TextUnmarshaler](typ):
		return n.Kind == yaml.ScalarNode && slices.Contains([]string{"!!str", "!!int", "!!float"}, n.ShortTag()) &&
			reflect.New(typ).Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.Value)) == nil
	case typ.Kind() == reflect.Struct, typ.Kind() == reflect.Map:
		return n.Kind == yaml.MappingNode
	case typ.Kind() == reflect.Slice:
		return n.Kind == yaml.SequenceNode
	case typ.Kind() == reflect.String:
		return n.Kind == yaml.ScalarNode && (n.ShortTag() == "!!str" || c.Tag == "json" && n.ShortTag() == "!!timestamp")
	case typ.Kind() == reflect.Bool && n.ShortTag() == "!!str" && n.Style != 0:
		return false // in quotes it is text, to Kubernetes and to ytt
	case typ.Kind() != reflect.Bool && n.ShortTag() != "!!int":
		return false // the library would cut 1.5 to 1
	default:
		return n.Kind == yaml.ScalarNode && n.Decode(reflect.New(typ).Interface()) == nil
	}
}

// decodesItself reports whether a type knows its own form, which is not that of its fields.
func decodesItself(typ reflect.Type) bool {
	return implements[encoding.TextUnmarshaler](typ) || implements[json.Unmarshaler](typ)
}

func implements[T any](typ reflect.Type) bool {
	return reflect.PointerTo(typ).Implements(reflect.TypeFor[T]())
}

func wanted(typ reflect.Type) string {
	switch {
	case implements[json.Unmarshaler](typ):
		return "a time such as 2006-01-02T15:04:05Z"
	case typ.Kind() == reflect.Struct, typ.Kind() == reflect.Map:
		return "a mapping of keys"
	case typ.Kind() == reflect.Slice:
		return "a list"
	case typ.Kind() == reflect.Bool:
		return "true or false"
	case typ.Kind() == reflect.String:
		return "text"
	default:
		return "a whole number"
	}
}

func found(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping of keys"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!str":
		return "text"
	case "!!bool":
		return "true or false"
	case "!!int", "!!float":
		return "a number"
	case "!!timestamp":
		return "a date"
	default:
		return "a value of another kind"
	}
}

// join appends a key to a path. What is not a plain word is quoted, so that a message stays one line.
func join(parent, key string) string {
	const longest = 64
	plain := func(r rune) bool { return r > ' ' && r < 0x7f }
	if len(key) > longest {
		key = key[:longest] + "..."
	}
	if strings.ContainsFunc(key, func(r rune) bool { return !plain(r) }) || key == "" {
		key = strconv.Quote(key)
	}
	if parent == "" {
		return key
	}
	return parent + "." + key
}

// Value returns the value of a key of a mapping; nil where there is none.
func Value(n *yaml.Node, key string) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// IsNull reports whether nothing was written.
func IsNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}
