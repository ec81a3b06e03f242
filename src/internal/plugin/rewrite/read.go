// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"fmt"
	"slices"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// read fills in what the PodSpec has.
func (p *Pod) read(object *yaml.RNode) error {
	spec, err := object.Pipe(yaml.Lookup(p.Spec...))
	if err != nil {
		return fmt.Errorf("read its PodSpec: %w", err)
	}
	for _, list := range []string{"initContainers", "containers"} {
		if err := values(spec, &p.Images, list, "image"); err != nil {
			return err
		}
	}
	if err := values(spec, &p.Uncommon, "ephemeralContainers", "image"); err != nil {
		return err
	}
	if err := values(spec, &p.Uncommon, "volumes", "image", "reference"); err != nil {
		return err
	}
	for _, image := range p.Uncommon {
		add(&p.Images, image)
	}
	p.ServiceAccount = readServiceAccount(spec)
	return values(spec, &p.PullSecrets, "imagePullSecrets", "name")
}

// values adds the texts at path in each element of a list; elements without one have nothing to add.
func values(spec *yaml.RNode, into *[]string, list string, path ...string) error {
	items, err := spec.Pipe(yaml.Lookup(list))
	if err != nil || items.IsNilOrEmpty() {
		return err
	}
	if items.YNode().Kind != yaml.SequenceNode {
		return fmt.Errorf("%s is not a list", list)
	}
	return items.VisitElements(func(item *yaml.RNode) error {
		value, err := item.Pipe(yaml.Lookup(path...))
		if err != nil || value.IsNilOrEmpty() {
			return err
		}
		if value.YNode().Kind != yaml.ScalarNode {
			return fmt.Errorf("%s: %s is not a text", list, path[len(path)-1])
		}
		if text := value.YNode().Value; text != "" {
			add(into, text)
		}
		return nil
	})
}

func add(list *[]string, value string) {
	if !slices.Contains(*list, value) {
		*list = append(*list, value)
	}
}

// Stranger is an object of a kind that this package does not know, with something in it that looks like
// containers.
type Stranger struct {
	Kind, Namespace, Name string
	Images                []string
}

// String is how a Stranger is called in messages.
func (s Stranger) String() string { return describe(s.Kind, s.Namespace, s.Name) }

// Strangers returns them. Kustomize's image transformer renames their images all the same;
// CustomResourceDefinitions it leaves alone.
func Strangers(objects []*yaml.RNode) ([]Stranger, error) {
	var all []Stranger
	for _, object := range objects {
		if specOf(group(object), object.GetKind()) != nil || object.GetKind() == "CustomResourceDefinition" {
			continue
		}
		stranger := Stranger{Kind: object.GetKind(), Namespace: object.GetNamespace(), Name: object.GetName()}
		if err := stranger.walk(object); err != nil {
			return nil, fmt.Errorf("%s: %w", stranger, err)
		}
		if stranger.Images != nil {
			all = append(all, stranger)
		}
	}
	return all, nil
}

func (s *Stranger) walk(node *yaml.RNode) error {
	switch node.YNode().Kind {
	case yaml.MappingNode:
		return node.VisitFields(func(field *yaml.MapNode) error {
			switch name := field.Key.YNode().Value; {
			case (name == "containers" || name == "initContainers") && field.Value.YNode().Kind == yaml.SequenceNode:
				return s.containers(field.Value)
			default:
				return s.walk(field.Value)
			}
		})
	case yaml.SequenceNode:
		return node.VisitElements(s.walk)
	default:
		return nil
	}
}

func (s *Stranger) containers(list *yaml.RNode) error {
	return list.VisitElements(func(item *yaml.RNode) error {
		if item.YNode().Kind != yaml.MappingNode {
			return nil
		}
		if image := item.Field("image"); image != nil && image.Value.YNode().Kind == yaml.ScalarNode && image.Value.YNode().Value != "" {
			add(&s.Images, image.Value.YNode().Value)
		}
		return nil
	})
}
