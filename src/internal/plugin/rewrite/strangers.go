// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/strictyaml"
)

// isCRD reports whether an object defines a kind. Its schema speaks of containers and has none; kustomize's
// image transformer leaves it alone.
func isCRD(kind string) bool { return kind == "CustomResourceDefinition" }

// customPods returns the Pods of an object of a kind that Kubernetes itself does not have. They are found by
// their form: a Pod template has a PodSpec with containers.
func customPods(owner Pod, object *yaml.RNode) []Pod {
	if isCRD(owner.Kind) {
		return nil
	}
	var pods []Pod
	eachContainerList(object.YNode(), nil, func(spec *yaml.Node, path []string) {
		if !takesSecret(spec, path) {
			return
		}
		pod := owner
		pod.Spec, pod.Custom = slices.Clone(path), true
		if err := pod.readSpec(yaml.NewRNode(spec)); err == nil && len(pod.Images) > 0 {
			pods = append(pods, pod)
		}
	})
	return pods
}

// takesSecret reports whether a mapping with containers takes imagePullSecrets: it is the spec of a template,
// or has some already. An API server refuses fields that a kind does not have, so nothing is guessed.
func takesSecret(spec *yaml.Node, path []string) bool {
	if secrets := strictyaml.Value(spec, "imagePullSecrets"); secrets != nil {
		return secrets.Kind == yaml.SequenceNode
	}
	return len(path) > 1 && path[len(path)-1] == "spec" &&
		strings.HasSuffix(strings.ToLower(path[len(path)-2]), "template")
}

// eachContainerList calls found with each mapping that has containers with images, and the path to it.
func eachContainerList(node *yaml.Node, path []string, found func(*yaml.Node, []string)) {
	switch node.Kind {
	case yaml.MappingNode:
		if len(containerImages(node)) > 0 {
			found(node, path)
		}
		for i := 0; i+1 < len(node.Content); i += 2 {
			eachContainerList(node.Content[i+1], append(path, node.Content[i].Value), found)
		}
	case yaml.SequenceNode:
		for i, item := range node.Content {
			eachContainerList(item, append(path, strconv.Itoa(i)), found)
		}
	}
}

// containerImages are those of a mapping's containers and init containers, where kustomize finds them too.
func containerImages(node *yaml.Node) []string {
	var all []string
	for _, key := range []string{"initContainers", "containers"} {
		list := strictyaml.Value(node, key)
		if list == nil || list.Kind != yaml.SequenceNode {
			continue
		}
		for _, item := range list.Content {
			if image := value(item, "image"); image != "" {
				add(&all, image)
			}
		}
	}
	return all
}

// Stranger is an object with containers in something that need not take a pull Secret.
type Stranger struct {
	Kind, Namespace, Name string
	Images                []string
}

// String is how a Stranger is called in messages.
func (s Stranger) String() string { return describe(s.Kind, s.Namespace, s.Name) }

// Strangers returns them. Kustomize's image transformer renames their images all the same.
func Strangers(objects []*yaml.RNode) []Stranger {
	var all []Stranger
	for _, object := range objects {
		if specOf(group(object), object.GetKind()) != nil || isCRD(object.GetKind()) {
			continue
		}
		stranger := Stranger{Kind: object.GetKind(), Namespace: object.GetNamespace(), Name: object.GetName()}
		eachContainerList(object.YNode(), nil, func(spec *yaml.Node, path []string) {
			if takesSecret(spec, path) {
				return
			}
			for _, image := range containerImages(spec) {
				add(&stranger.Images, image)
			}
		})
		if stranger.Images != nil {
			all = append(all, stranger)
		}
	}
	return all
}
