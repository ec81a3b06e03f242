// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// step is a key of a mapping, or an index into a list.
type step struct {
	key   string
	index int // -1: a key
}

// steps is the way from an object to a value.
type steps []step

// String is a path as Kubernetes' own messages have it: spec.args[0], data[config.yaml].
func (s steps) String() string {
	var b strings.Builder
	for i, step := range s {
		switch {
		case step.index >= 0:
			b.WriteString("[" + strconv.Itoa(step.index) + "]")
		case !plainKey(step.key):
			b.WriteString("[" + step.key + "]")
		default:
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(step.key)
		}
	}
	return b.String()
}

func plainKey(key string) bool {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
	return key != "" && strings.Trim(key, plain) == ""
}

// path is for [at] and [pointer].
func (s steps) path() []string {
	path := make([]string, len(s))
	for i, step := range s {
		if path[i] = step.key; step.index >= 0 {
			path[i] = strconv.Itoa(step.index)
		}
	}
	return path
}

// key is the last one; empty: there is none.
func (s steps) key() string {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i].index < 0 {
			return s[i].key
		}
	}
	return ""
}

// place is a string in an object.
type place struct {
	object objectID
	steps  steps
	node   *yaml.Node
	// parent is the mapping that has the string as a value, nil for an element of a list.
	parent *yaml.Node
	// name is what the string is called: by its key, as a variable, or by the flag before it.
	name string
}

// inData reports whether the string is a file, as it were: data of a ConfigMap, or of a Secret in plain text.
func (p place) inData() bool {
	if len(p.steps) != 2 || p.object.APIVersion != "v1" {
		return false
	}
	kind, key := p.object.Kind, p.steps[0].key
	return kind == "ConfigMap" && key == "data" || kind == "Secret" && key == "stringData"
}

// walker calls visit with each string of objects outside of containers' images and of what only describes.
type walker struct {
	object objectID
	known  bool // Kubernetes itself has the kind
	visit  func(place)
}

// walkStrings leaves out what no operator reads images from: status, names and labels, the binary data of a
// Secret, and descriptions in the schema of a kind.
func walkStrings(objects []*yaml.RNode, visit func(place)) {
	for _, object := range objects {
		id := objectID{object.GetApiVersion(), object.GetKind(), object.GetNamespace(), object.GetName()}
		w := walker{object: id, known: specOf(group(object), id.Kind) != nil, visit: visit}
		root := object.YNode()
		for i := 0; i+1 < len(root.Content); i += 2 {
			switch key := root.Content[i].Value; {
			case slices.Contains([]string{"apiVersion", "kind", "status"}, key),
				id.Kind == "Secret" && key == "data", id.Kind == "ConfigMap" && key == "binaryData":
			default:
				w.value(root, key, root.Content[i+1], nil)
			}
		}
	}
}

func (w *walker) value(parent *yaml.Node, key string, value *yaml.Node, way steps) {
	way = append(way, step{key, -1})
	switch value.Kind {
	case yaml.ScalarNode:
		described := isCRD(w.object.Kind) && key == "description"
		if value.ShortTag() == yaml.NodeTagString && !w.elsewhere(way) && !described {
			w.visit(place{w.object, way, value, parent, called(parent, way)})
		}
	case yaml.MappingNode:
		w.mapping(value, way)
	case yaml.SequenceNode:
		w.sequence(value, way)
	}
}

func (w *walker) mapping(node *yaml.Node, way steps) {
	metadata := way.key() == "metadata" && (len(way) == 1 || way[len(way)-1].index < 0)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i].Value
		if metadata && key != "annotations" || key == "kubectl.kubernetes.io/last-applied-configuration" {
			continue
		}
		w.value(node, key, node.Content[i+1], way)
	}
}

func (w *walker) sequence(node *yaml.Node, way steps) {
	name := called(nil, way)
	for i, item := range node.Content {
		way := append(way, step{"", i})
		switch item.Kind {
		case yaml.ScalarNode:
			name := name
			if i > 0 && isFlag(node.Content[i-1].Value) {
				name = node.Content[i-1].Value
			}
			if item.ShortTag() == yaml.NodeTagString {
				w.visit(place{w.object, way, item, nil, name})
			}
		case yaml.MappingNode:
			w.mapping(item, way)
		case yaml.SequenceNode:
			w.sequence(item, way)
		}
	}
}

// isFlag reports whether an argument is a flag whose value is the next argument.
func isFlag(argument string) bool {
	return strings.HasPrefix(argument, "-") && !strings.Contains(argument, "=")
}

// elsewhere reports whether the string is a container's image, which kustomize's images are for. Those of
// ephemeral containers and image volumes are so where the kind is known.
func (w *walker) elsewhere(way steps) bool {
	if isCRD(w.object.Kind) {
		return false
	}
	n := len(way)
	if n >= 3 && way[n-1].key == "image" && way[n-2].index >= 0 {
		list := way[n-3].key
		return list == "containers" || list == "initContainers" || w.known && list == "ephemeralContainers"
	}
	return w.known && n >= 4 &&
		way[n-1].key == "reference" && way[n-2].key == "image" && way[n-4].key == "volumes"
}

// called is what a value is called: a variable by the name beside it, a default by what it is for.
func called(parent *yaml.Node, way steps) string {
	key := way.key()
	switch key {
	case "value":
		if parent != nil && value(parent, "name") != "" {
			return value(parent, "name")
		}
	case "default", "reference":
		return way[:len(way)-1].key()
	}
	return key
}
