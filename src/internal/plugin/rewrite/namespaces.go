// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	admission "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/openapi"
	"sigs.k8s.io/kustomize/kyaml/resid"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// maxApplied is what an object may take as JSON: its annotations have 256 KiB, and without --server-side
// "kubectl apply" keeps the whole object in one of them.
const maxApplied = 255 << 10

// Namespaces are where the Secret goes: to [Plan.Namespace], to the Application's additional ones, and to
// those of Pods that need it or are made of renamed fields. An empty one is wherever the rest is applied to.
// It is first.
func (p *Plan) Namespaces() []string {
	if p.settled != "" {
		return []string{p.settled}
	}
	further := map[string]bool{}
	for _, namespace := range p.Base.Application.Namespaces {
		further[namespace] = true
	}
	for _, pod := range p.needSecret() {
		further[pod.Namespace] = true
	}
	for _, field := range p.FieldFindings() { // where an operator may make Pods of it
		if field.Outcome == Renamed {
			further[field.Namespace] = true
		}
	}
	delete(further, "")
	delete(further, p.Namespace)
	all := slices.Sorted(maps.Keys(further))
	if p.Namespace == "" && len(all) > 0 && !p.Base.unnamed() {
		return all // nothing else goes to where the user happens to be
	}
	return append([]string{p.Namespace}, all...)
}

// unnamed reports whether an object of the base goes to wherever it is applied to.
func (b *Base) unnamed() bool {
	scopes := newScopes(b.objects)
	return slices.ContainsFunc(b.objects, func(object *yaml.RNode) bool {
		return object.GetNamespace() == "" && scopes.namespaced(object)
	})
}

// scopes tell kinds with a namespace from those without, by the cluster's own rule as far as it is known here.
type scopes map[resid.Gvk]bool

// newScopes knows the kinds that the objects define.
func newScopes(objects []*yaml.RNode) scopes {
	known := scopes{}
	for _, object := range objects {
		if group(object) != "apiextensions.k8s.io" || object.GetKind() != "CustomResourceDefinition" {
			continue
		}
		known[definedKind(object)] = lookup(object, "spec", "scope") != "Cluster"
	}
	return known
}

// definedKind is the kind of a CustomResourceDefinition, without a version.
func definedKind(crd *yaml.RNode) resid.Gvk {
	return resid.Gvk{Group: lookup(crd, "spec", "group"), Kind: lookup(crd, "spec", "names", "kind")}
}

// namespaced reports whether an object is in a namespace; so does, for safety, one of an unknown kind.
func (s scopes) namespaced(object *yaml.RNode) bool {
	if namespaced, known := s[resid.Gvk{Group: group(object), Kind: object.GetKind()}]; known {
		return namespaced
	}
	if group(object) == admission.GroupName {
		return false // kustomize's own list lacks the newest of the group, none of which has a namespace
	}
	return !openapi.IsCertainlyClusterScoped(yaml.TypeMeta{APIVersion: object.GetApiVersion(), Kind: object.GetKind()})
}

// lookup is a text in an object; empty where there is none.
func lookup(object *yaml.RNode, path ...string) string {
	found, err := object.Pipe(yaml.Lookup(path...))
	if err != nil || found.IsNilOrEmpty() {
		return ""
	}
	return found.YNode().Value
}

// Applying is how kubectl gets the midstream into a cluster.
type Applying struct {
	// Namespace is where objects without one go; empty: wherever the user is.
	Namespace string
	// Several says that objects of other namespaces are among them, with which kubectl refuses -n.
	Several bool
	// Unnamed says that some object has no namespace.
	Unnamed bool
	// Missing are namespaces that no object makes.
	Missing []string
	// ServerSide says that an object is too large for an annotation of itself.
	ServerSide bool
	// Twice says that objects are of kinds that others define.
	Twice bool
}

// Applying looks at the midstream that [Plan.Verify] built.
func (p *Plan) Applying() Applying {
	how := Applying{Namespace: p.Namespace}
	known, here := newScopes(p.built), map[string]bool{}
	made := []string{"", p.Namespace, resid.DefaultNamespace, "kube-system", "kube-public", "kube-node-lease"}
	for _, object := range p.built {
		how.ServerSide = how.ServerSide || jsonSize(object.YNode()) > maxApplied
		_, defined := known[resid.Gvk{Group: group(object), Kind: object.GetKind()}]
		how.Twice = how.Twice || defined
		switch {
		case group(object) == "" && object.GetKind() == "Namespace":
			made = append(made, object.GetName())
		case known.namespaced(object):
			here[object.GetNamespace()] = true
		}
	}
	how.Unnamed = here[""]
	how.Missing = missing(slices.Sorted(maps.Keys(here)), made)
	delete(here, "")
	delete(here, p.Namespace)
	how.Several = len(here) > 0
	return how
}

// jsonSize is about what a node takes as JSON.
func jsonSize(node *yaml.Node) int {
	size := len(node.Value) + strings.Count(node.Value, "\n") + strings.Count(node.Value, `"`) + 3 // quotes and a comma
	for _, child := range node.Content {
		size += jsonSize(child)
	}
	return size
}

// settle finds out what the user's kustomization says itself: one namespace for all, and other images.
func (p *Plan) settle() error {
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		content, err := os.ReadFile(filepath.Join(p.Dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read the midstream: %w", err)
		}
		k, err := parseKustomization(filepath.Join(p.Dir, name), content)
		if err != nil {
			return err
		}
		p.settled = text(k.root(), "namespace")
		p.users = map[string]types.Image{}
		for _, item := range k.list("images") {
			if newName := text(item, "newName"); !p.ours(newName) {
				p.users[text(item, "name")] = types.Image{NewName: newName, NewTag: text(item, "newTag"), Digest: text(item, "digest")}
			}
		}
	}
	return nil
}
