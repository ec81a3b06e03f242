// SPDX-License-Identifier: Apache-2.0

package license

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/strictyaml"
)

// edit writes the difference between two states of a license into the YAML document that has the first. Lines
// in which nothing changed stay as they are. What comes out is read again: it means exactly what it should,
// or nothing was edited.
func edit(document []byte, before, after *v1alpha1.License) ([]byte, error) {
	from, err := nodeOf(before)
	if err != nil {
		return nil, err
	}
	to, err := nodeOf(after)
	if err != nil {
		return nil, err
	}
	change := func(root *yaml.Node) error { apply(root, from, to); return nil }
	return rewrite(document, change, func(edited []byte) bool { return means(edited, after) })
}

// errByHand says that the document stays as it is.
var errByHand = errors.New("its YAML cannot be edited without changing what else it says; change it by hand")

// withdraw writes the revocation of a license into a document that has a mistake, and nothing else.
func withdraw(document []byte, revoked *v1alpha1.License) ([]byte, error) {
	text := fmt.Sprintf("metadata: {annotations: {%s: %q}}\nspec: {revoked: true}",
		v1alpha1.RevokedAtAnnotation, revoked.Annotations[v1alpha1.RevokedAtAnnotation])
	var to yaml.Node
	if err := yaml.Unmarshal([]byte(text), &to); err != nil {
		return nil, fmt.Errorf("write the revocation: %w", err)
	}
	plain(&to)
	var wanted *yaml.Node
	change := func(root *yaml.Node) error {
		spec, annotations := strictyaml.Value(root, "spec"), strictyaml.Value(strictyaml.Value(root, "metadata"), "annotations")
		if spec == nil || spec.Kind != yaml.MappingNode || annotations != nil && annotations.Kind != yaml.MappingNode {
			return errByHand
		}
		if wrong := strictyaml.Value(spec, "revoked"); wrong != nil {
			wrong.Style = 0
		}
		apply(root, nil, to.Content[0])
		wanted = root
		return nil
	}
	return rewrite(document, change, func(edited []byte) bool {
		var root yaml.Node
		read := v1alpha1.Documents("", edited)
		return len(read) == 1 && read[0].Revoked && read[0].Name == revoked.Name && yaml.Unmarshal(edited, &root) == nil && same(root.Content[0], wanted)
	})
}

// rewrite changes a document, and takes the result only if it means what it should.
func rewrite(document []byte, change func(root *yaml.Node) error, right func(edited []byte) bool) ([]byte, error) {
	marker, body := cutMarker(document)
	var root yaml.Node
	if err := yaml.Unmarshal(body, &root); err != nil {
		return nil, fmt.Errorf("read the YAML: %w", err)
	}
	style := styleOf(&root)
	old, err := style.write(&root)
	if err != nil {
		return nil, err
	}
	if err := change(root.Content[0]); err != nil {
		return nil, err
	}
	wanted, err := style.write(&root)
	if err != nil {
		return nil, err
	}
	for _, text := range []string{graft(string(body), old, wanted), wanted} {
		if edited := slices.Concat(marker, []byte(text)); right(edited) {
			return edited, nil
		}
	}
	return nil, errByHand
}

// cutMarker takes off the line that begins the document, if there is nothing else on it.
func cutMarker(document []byte) (marker, body []byte) {
	end := bytes.IndexByte(document, '\n') + 1
	rest, marked := bytes.CutPrefix(document[:end], []byte("---"))
	if text := bytes.TrimSpace(rest); marked && (len(text) == 0 || text[0] == '#') {
		return document[:end], document[end:]
	}
	return nil, document
}

// nodeOf returns a license as YAML, with its keys in the order of the Go types.
func nodeOf(l *v1alpha1.License) (*yaml.Node, error) {
	text, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("write the license: %w", err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("write the license: %w", err)
	}
	plain(&document)
	return document.Content[0], nil
}

// plain removes the brackets and quotes of JSON; the encoder sets quotes where they are needed.
func plain(n *yaml.Node) {
	n.Style = 0
	for _, child := range n.Content {
		plain(child)
	}
}

func means(document []byte, l *v1alpha1.License) bool {
	read := v1alpha1.Documents("", document)
	return len(read) == 1 && read[0].Err == nil && equality.Semantic.DeepEqual(read[0].Object, v1alpha1.Object(l))
}

// apply changes a node by the difference of two others. What those have in common is left alone, however the
// node has it. Without from all of to is new.
func apply(n, from, to *yaml.Node) {
	switch {
	case from != nil && same(from, to):
	case n.Kind == yaml.MappingNode && to.Kind == yaml.MappingNode:
		applyMapping(n, from, to)
	case n.Kind == yaml.SequenceNode && to.Kind == yaml.SequenceNode:
		applySequence(n, from, to)
	case n.Kind == yaml.ScalarNode && to.Kind == yaml.ScalarNode:
		n.Value, n.Tag = to.Value, "" // the quotes stay, if there are some
	default:
		to.HeadComment, to.LineComment, to.FootComment = n.HeadComment, n.LineComment, n.FootComment
		*n = *to
	}
}

func applyMapping(n, from, to *yaml.Node) {
	for i := len(n.Content) - 2; i >= 0; i -= 2 {
		key := n.Content[i].Value
		switch had, wanted := strictyaml.Value(from, key), strictyaml.Value(to, key); {
		case wanted != nil:
			apply(n.Content[i+1], had, wanted)
		case had != nil:
			n.Content = slices.Delete(n.Content, i, i+2)
		}
	}
	for i := 0; i+1 < len(to.Content); i += 2 {
		if key := to.Content[i]; strictyaml.Value(n, key.Value) == nil && strictyaml.Value(from, key.Value) == nil {
			n.Content = append(n.Content, key, to.Content[i+1])
		}
	}
}

// applySequence takes items of the same name, and the same texts, for the same.
func applySequence(n, from, to *yaml.Node) {
	n.Content = slices.DeleteFunc(n.Content, func(item *yaml.Node) bool { return named(to, item) == nil })
	for _, item := range n.Content {
		apply(item, named(from, item), named(to, item))
	}
	for _, item := range to.Content {
		if named(n, item) == nil {
			n.Content = append(n.Content, item)
		}
	}
	slices.SortStableFunc(n.Content, func(a, b *yaml.Node) int {
		return cmp.Compare(slices.Index(to.Content, named(to, a)), slices.Index(to.Content, named(to, b)))
	})
}

// named is the item of a sequence that has the same name, or is the same text; nil where there is none.
func named(n, like *yaml.Node) *yaml.Node {
	if n != nil && like.Kind == yaml.ScalarNode {
		for _, item := range n.Content {
			if item.Kind == yaml.ScalarNode && item.Value == like.Value {
				return item
			}
		}
		return nil
	}
	name := strictyaml.Value(like, "name")
	if n == nil || name == nil {
		return nil
	}
	for _, item := range n.Content {
		if other := strictyaml.Value(item, "name"); other != nil && other.Value == name.Value {
			return item
		}
	}
	return nil
}

func same(a, b *yaml.Node) bool {
	return a.Kind == b.Kind && a.Value == b.Value && slices.EqualFunc(a.Content, b.Content, same)
}
