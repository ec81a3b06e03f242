// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/strictyaml"
)

const blank = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"

// kustomization is the user's file, edited as YAML nodes so that comments and order survive.
type kustomization struct {
	text    []byte
	doc     *yaml.Node
	changed bool
}

// parseKustomization reads one; no text is a new one.
func parseKustomization(place string, text []byte) (*kustomization, error) {
	k := &kustomization{text: text, doc: &yaml.Node{}}
	if len(bytes.TrimSpace(text)) == 0 {
		k.text, k.changed = []byte(blank), true
	}
	decoder := yaml.NewDecoder(bytes.NewReader(k.text))
	if err := decoder.Decode(k.doc); err != nil {
		return nil, fmt.Errorf("%s: %s", place, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(k.doc.Content) != 1 || k.root().Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s: line %d: not a kustomization: no mapping of keys to values", place, k.doc.Line)
	}
	if err := decoder.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: a second YAML document: keep one kustomization in a file", place)
	}
	for _, key := range []string{"resources", "bases", "patches", "configurations", "components", "images"} {
		if list := strictyaml.Value(k.root(), key); list != nil && list.Kind != yaml.SequenceNode && list.ShortTag() != "!!null" {
			return nil, fmt.Errorf("%s: line %d: %s is not a list", place, list.Line, key)
		}
	}
	return k, nil
}

func (k *kustomization) root() *yaml.Node { return k.doc.Content[0] }

// bytes is the file: to the byte what it was, when nothing had to change.
func (k *kustomization) bytes() ([]byte, error) {
	if !k.changed {
		return k.text, nil
	}
	style := yaml.SequenceIndentStyle(yaml.DeriveSeqIndentStyle(string(k.text)))
	return yaml.MarshalWithOptions(k.doc, &yaml.EncoderOptions{SeqIndent: style})
}

// list returns the items of a key.
func (k *kustomization) list(key string) []*yaml.Node {
	if list := strictyaml.Value(k.root(), key); list != nil {
		return list.Content
	}
	return nil
}

// setList replaces the items of a key; no items is no key.
func (k *kustomization) setList(key string, items []*yaml.Node) {
	k.changed = true
	list := strictyaml.Value(k.root(), key)
	switch {
	case len(items) == 0:
		remove(k.root(), key)
	case list == nil:
		put(k.root(), key, &yaml.Node{Kind: yaml.SequenceNode, Content: items})
	case list.Kind != yaml.SequenceNode: // null
		*list = yaml.Node{Kind: yaml.SequenceNode, Content: items, HeadComment: list.HeadComment,
			LineComment: list.LineComment}
	default:
		list.Content = items
		if list.Style&yaml.FlowStyle != 0 && len(items) > 0 && items[len(items)-1].Kind == yaml.MappingNode {
			list.Style &^= yaml.FlowStyle
		}
	}
}

// holds reports whether a path is in a list of paths.
func (k *kustomization) holds(key, value string) bool {
	return slices.ContainsFunc(k.list(key), func(item *yaml.Node) bool { return samePath(item, value) })
}

// hold puts a path into a list of paths, or takes it out.
func (k *kustomization) hold(key, value string, wanted bool) {
	k.holdItem(key, wanted, scalar(value), func(item *yaml.Node) bool { return samePath(item, value) })
}

// holdPatch does so in the list of patches.
func (k *kustomization) holdPatch(file string, wanted bool) {
	item := &yaml.Node{Kind: yaml.MappingNode}
	put(item, "path", scalar(file))
	k.holdItem("patches", wanted, item, func(item *yaml.Node) bool {
		at := strictyaml.Value(item, "path")
		return at != nil && samePath(at, file)
	})
}

func (k *kustomization) holdItem(key string, wanted bool, item *yaml.Node, same func(*yaml.Node) bool) {
	items := k.list(key)
	switch held := slices.ContainsFunc(items, same); {
	case wanted && !held:
		k.setList(key, append(items, item))
	case !wanted && held:
		k.setList(key, slices.DeleteFunc(items, same))
	}
}

func samePath(item *yaml.Node, value string) bool {
	return item.Kind == yaml.ScalarNode && path.Clean(item.Value) == path.Clean(value)
}

// setImages makes those entries for which ours says yes the wanted ones. Entries for a name that the user
// renames otherwise are left out and returned; where the user sets only the tag or digest, that one counts.
func (k *kustomization) setImages(wanted []types.Image, ours func(newName string) bool) (overridden []string) {
	users := map[string]*yaml.Node{}
	for _, item := range k.list("images") {
		if !ours(text(item, "newName")) {
			users[text(item, "name")] = item
		}
	}
	byName := map[string]types.Image{}
	for _, image := range wanted {
		switch user := users[image.Name]; {
		case user != nil && text(user, "newName") != "":
			overridden = append(overridden, image.Name)
			continue
		case user != nil:
			image.NewTag, image.Digest = "", ""
		}
		byName[image.Name] = image
	}
	var items []*yaml.Node
	differs := false
	for _, item := range k.list("images") {
		name := text(item, "name")
		image, is := byName[name]
		if ours(text(item, "newName")) {
			if !is {
				differs = true
				continue
			}
			delete(byName, name)
			differs = setImage(item, image) || differs
		}
		items = append(items, item)
	}
	for _, image := range wanted {
		if image, left := byName[image.Name]; left {
			item := &yaml.Node{Kind: yaml.MappingNode}
			put(item, "name", scalar(image.Name))
			setImage(item, image)
			items, differs = append(items, item), true
		}
	}
	if differs {
		k.setList("images", items)
	}
	return overridden
}

// setImage changes an entry and says whether it had to.
func setImage(item *yaml.Node, image types.Image) (changed bool) {
	for _, field := range []struct{ key, value string }{{"newName", image.NewName}, {"newTag", image.NewTag}, {"digest", image.Digest}} {
		node := strictyaml.Value(item, field.key)
		switch {
		case field.value == "" && node != nil:
			remove(item, field.key)
		case field.value == "":
			continue
		case node == nil:
			put(item, field.key, scalar(field.value))
		case node.Value != field.value || node.ShortTag() != "!!str":
			node.SetString(field.value)
		default:
			continue
		}
		changed = true
	}
	return changed
}
