// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// checker compares YAML nodes with the Go types they are meant for. The library's own strict mode knows neither the path of
// a key nor what it should have been.
type checker struct {
	place string
	errs  []error
}

func (c *checker) fail(n *yaml.Node, key, problem, remedy string) {
	c.errs = append(c.errs, &Error{Place: c.place, Line: n.Line, Key: key, Problem: problem, Remedy: remedy})
}

// check reports how n differs from typ. In an open mapping unknown keys are ignored. The depth of the recursion is that of
// the types, so aliases that form a circle do no harm.
func (c *checker) check(key string, n *yaml.Node, typ reflect.Type, open bool) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if isNull(n) {
		return
	}
	if !fits(n, typ) {
		problem := fmt.Sprintf("expected %s, found %s", wanted(typ), found(n))
		remedy := "correct the value"
		if typ.Kind() == reflect.String && n.Kind == yaml.ScalarNode {
			remedy = "put it in quotes"
		}
		c.fail(n, key, problem, remedy)
		return
	}
	switch typ.Kind() {
	case reflect.Struct:
		c.mapping(key, n, typ, open)
	case reflect.Slice:
		for i, item := range n.Content {
			c.check(key+"["+strconv.Itoa(i)+"]", item, typ.Elem(), open)
		}
	}
}

func (c *checker) mapping(parent string, n *yaml.Node, typ reflect.Type, open bool) {
	fields := fieldsByKey(typ)
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		if name.Kind != yaml.ScalarNode || name.ShortTag() == "!!merge" {
			c.fail(name, parent, "a key that is not a plain word", "write every key out, without << and *")
			continue
		}
		key := join(parent, name.Value)
		if line, twice := seen[name.Value]; twice {
			c.fail(name, key, fmt.Sprintf("the key is already on line %d", line), "keep one of them")
			continue
		}
		seen[name.Value] = name.Line
		field, known := fields[name.Value]
		switch {
		case known:
			c.check(key, value, field.Type, open || field.Tag.Get("keys") == "open")
		case !open:
			c.fail(name, key, "unknown key", remedyForKey(parent, name.Value, fields))
		}
	}
}

// fits reports whether n itself, not what is in it, can become a typ.
func fits(n *yaml.Node, typ reflect.Type) bool {
	switch {
	case typ == reflect.TypeFor[Quantity]():
		return n.Kind == yaml.ScalarNode && slices.Contains([]string{"!!str", "!!int", "!!float"}, n.ShortTag())
	case typ.Kind() == reflect.Struct, typ.Kind() == reflect.Map:
		return n.Kind == yaml.MappingNode
	case typ.Kind() == reflect.Slice:
		return n.Kind == yaml.SequenceNode
	case typ.Kind() == reflect.String:
		return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str"
	case typ.Kind() == reflect.Int && n.ShortTag() != "!!int":
		return false // the library would cut 1.5 to 1
	default:
		return n.Kind == yaml.ScalarNode && n.Decode(reflect.New(typ).Interface()) == nil
	}
}

func wanted(typ reflect.Type) string {
	switch typ.Kind() {
	case reflect.Struct, reflect.Map:
		return "a mapping of keys"
	case reflect.Slice:
		return "a list"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	default:
		return "text"
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
