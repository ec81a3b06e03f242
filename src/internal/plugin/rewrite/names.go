// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"regexp"
	"strings"

	"sigs.k8s.io/kustomize/api/hasher"
	"sigs.k8s.io/kustomize/kyaml/resid"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// objectID names an object.
type objectID struct{ APIVersion, Kind, Namespace, Name string }

func (o objectID) String() string { return describe(o.Kind, o.Namespace, o.Name) }

func objectOf(object *yaml.RNode) objectID {
	return objectID{object.GetApiVersion(), object.GetKind(), object.GetNamespace(), object.GetName()}
}

func (p Pod) id() objectID { return objectID{p.APIVersion, p.Kind, p.Namespace, p.Name} }

// names tell what kustomize needs to find an object by its name.
type names struct {
	same map[objectID]int    // objects that differ in nothing but their namespace
	hash map[objectID]string // what is behind the plain name of a generated object
}

func namesOf(objects []*yaml.RNode) names {
	n := names{map[objectID]int{}, map[objectID]string{}}
	for _, object := range objects {
		id := objectOf(object)
		if hash := hashOf(object); hash != "" {
			n.hash[id] = hash
		}
		id.Namespace = ""
		n.same[id]++
	}
	return n
}

// hashOf is the hash at the end of a name, with its hyphen, where kustomize made the name; empty elsewhere. It
// is that of the content, so it changes with it.
func hashOf(object *yaml.RNode) string {
	if kind := object.GetKind(); kind != "ConfigMap" && kind != "Secret" {
		return ""
	}
	hash, err := new(hasher.Hasher).Hash(object)
	if err != nil || !strings.HasSuffix(object.GetName(), "-"+hash) {
		return ""
	}
	return "-" + hash
}

// target selects exactly one object. Kustomize takes each value for a regular expression, and an empty one for
// all; what has no namespace is in "default" for it. A generated object has no hash yet, unless the vendor
// generated it.
func (n names) target(object objectID) map[string]string {
	group, version := resid.ParseGroupVersion(object.APIVersion)
	target := map[string]string{"group": group, "version": version, "kind": object.Kind}
	if group == "" {
		target["group"] = "^$"
	}
	plain := strings.TrimSuffix(object.Name, n.hash[object])
	if target["name"] = regexp.QuoteMeta(plain); plain != object.Name {
		target["name"] += "(" + n.hash[object] + ")?"
	}
	same := object
	same.Namespace = ""
	switch {
	case object.Namespace != "":
		target["namespace"] = object.Namespace
	case n.same[same] > 1:
		target["namespace"] = resid.DefaultNamespace
	}
	return target
}

// index finds objects again after their content has changed.
type index struct {
	exact, plain map[objectID]*yaml.RNode
}

func indexOf(objects []*yaml.RNode) index {
	i := index{map[objectID]*yaml.RNode{}, map[objectID]*yaml.RNode{}}
	for _, object := range objects {
		id := objectOf(object)
		i.exact[id] = object
		if hash := hashOf(object); hash != "" {
			id.Name = strings.TrimSuffix(id.Name, hash)
			i.plain[id] = object
		}
	}
	return i
}

// find returns what became of an object of the base; nil: it is not there any more.
func (i index) find(n names, object objectID) *yaml.RNode {
	if found := i.exact[object]; found != nil {
		return found
	}
	plain := object
	plain.Name = strings.TrimSuffix(plain.Name, n.hash[object])
	return i.plain[plain]
}
