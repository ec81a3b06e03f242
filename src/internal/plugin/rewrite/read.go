// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"fmt"
	"slices"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// read fills in what the PodSpec has.
func (p *Pod) read(object *yaml.RNode) error {
	spec := yaml.NewRNode(at(object.YNode(), p.Spec))
	if spec.IsNilOrEmpty() {
		return nil
	}
	return p.readSpec(spec)
}

func (p *Pod) readSpec(spec *yaml.RNode) error {
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
