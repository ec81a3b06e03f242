// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"strconv"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/strictyaml"
)

// scalar is a text; the encoder quotes it where it would read as something else.
func scalar(value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: yaml.NodeTagString, Value: value}
}

// text is a value as text; empty where there is none.
func text(mapping *yaml.Node, key string) string {
	if node := strictyaml.Value(mapping, key); node != nil && node.Kind == yaml.ScalarNode {
		return node.Value
	}
	return ""
}

// at is the node at a path of keys and indices; nil where there is none.
func at(node *yaml.Node, path []string) *yaml.Node {
	for _, step := range path {
		if node != nil && node.Kind == yaml.SequenceNode {
			index, err := strconv.Atoi(step)
			if err != nil || index < 0 || index >= len(node.Content) {
				return nil
			}
			node = node.Content[index]
			continue
		}
		node = strictyaml.Value(node, step)
	}
	return node
}

// put adds a key that is not there.
func put(mapping *yaml.Node, key string, value *yaml.Node) {
	mapping.Content = append(mapping.Content, scalar(key), value)
}

func remove(mapping *yaml.Node, key string) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			mapping.Content = append(mapping.Content[:i], mapping.Content[i+2:]...)
			return
		}
	}
}
