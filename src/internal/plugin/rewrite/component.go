// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/yaml"
)

// componentDir is a kustomize component of ours beside the midstream's kustomization. It holds what strategic
// merges cannot do: they replace the lists of kinds that kustomize does not know. Kustomize builds a component
// before the patches and images of the kustomization, so what the user says there comes last.
const componentDir = "image-patches"

const componentPurpose = "It changes what kustomize's images and strategic merges do not reach."

// operation is one of a JSON patch (RFC 6902).
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// objectPatch is what is done to one object.
type objectPatch struct {
	object     objectID
	operations []operation
}

// text has an operation on each line, as JSON: kustomize trims the text, and a line end in YAML's own form of a
// value would be lost.
func (p objectPatch) text() (string, error) {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	for _, operation := range p.operations {
		b.WriteString("- ")
		if err := encoder.Encode(operation); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

// patchList has one patch for each object, in the order of their first operation.
type patchList struct {
	patches []objectPatch
	at      map[objectID]int
}

func (l *patchList) add(object objectID, operations ...operation) {
	if l.at == nil {
		l.at = map[objectID]int{}
	}
	index, ok := l.at[object]
	if !ok {
		index = len(l.patches)
		l.at[object] = index
		l.patches = append(l.patches, objectPatch{object: object})
	}
	l.patches[index].operations = append(l.patches[index].operations, operations...)
}

// stageComponent stages the component, or its end, and reports whether there is one.
func (p *Plan) stageComponent(s *Stage) (bool, error) {
	content, err := p.component()
	if err != nil {
		return false, err
	}
	file := filepath.Join(componentDir, konfig.DefaultKustomizationFileName())
	return content != nil, p.put(s, file, componentPurpose, content, publicMode)
}

// component is the content of its kustomization; none when there is nothing to do.
func (p *Plan) component() ([]byte, error) {
	var list patchList
	for _, pod := range p.needSecret() {
		if pod.Custom {
			list.add(pod.id(), addSecrets(pod, p.pullSecrets(pod)...)...)
		}
	}
	p.patchFields(&list)
	var patches []any
	for _, patch := range list.patches {
		if len(patch.operations) == 0 {
			continue
		}
		text, err := patch.text()
		if err != nil {
			return nil, fmt.Errorf("write the midstream: %w", err)
		}
		patches = append(patches, map[string]any{"target": p.Base.names.target(patch.object), "patch": text})
	}
	if patches == nil {
		return nil, nil
	}
	return yaml.Marshal(map[string]any{
		"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component", "patches": patches,
	})
}

// addSecrets adds names to a Pod's imagePullSecrets, and keeps those that are there.
func addSecrets(pod Pod, names ...string) []operation {
	at := pointer(append(pod.Spec[:len(pod.Spec):len(pod.Spec)], "imagePullSecrets"))
	there := pod.PullSecrets[:len(pod.PullSecrets):len(pod.PullSecrets)]
	var all []operation
	for _, name := range names {
		reference := map[string]string{"name": name}
		before := len(there)
		switch add(&there, name); {
		case before == len(there):
		case before == 0:
			all = append(all, operation{"add", at, []any{reference}})
		default:
			all = append(all, operation{"add", at + "/-", reference})
		}
	}
	return all
}

// pointer is a path as RFC 6901 has it.
func pointer(path []string) string {
	var b strings.Builder
	for _, step := range path {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(step))
	}
	return b.String()
}
