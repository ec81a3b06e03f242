// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
)

// template is how template functions of an installer begin, in its two spellings.
var template = regexp.MustCompile(`repl\{\{|\{\{\s*repl\b`)

// unquoted is how YAML reads the second spelling without quotes: as a mapping whose key is a mapping.
var unquoted = regexp.MustCompile(`^repl\b`)

// notRendered is the error of an object that an installer has yet to fill in.
func notRendered(line int) error {
	return fmt.Errorf("line %d: template text (repl{{ … }}) that was not rendered: take the manifests as the installer "+
		"renders them, or write the value there", line)
}

// templateInText returns the first line with template text outside of comments; zero: none.
func templateInText(content []byte) int {
	for i, line := range bytes.Split(content, []byte("\n")) {
		if !bytes.HasPrefix(bytes.TrimSpace(line), []byte("#")) && template.Match(line) {
			return i + 1
		}
	}
	return 0
}

// template returns the line of the template text in a document; zero: none.
func (m manifest) template(doc *yaml.Node) int {
	at := templateIn(doc)
	if at == 0 {
		return 0
	}
	lines := bytes.Split(m.text, []byte("\n"))
	for i := at - 1; i < len(lines); i++ { // a block of text begins above its lines
		if template.Match(lines[i]) {
			return i + 1
		}
	}
	return at
}

// templateIn returns the line of a node with template text; zero: none.
func templateIn(node *yaml.Node) int {
	if node.Kind == yaml.ScalarNode && strings.Contains(node.Value, "{{") && template.MatchString(node.Value) {
		return max(node.Line, 1)
	}
	for i, child := range node.Content {
		if node.Kind == yaml.MappingNode && i%2 == 0 && child.Kind == yaml.MappingNode && len(child.Content) > 0 &&
			unquoted.MatchString(child.Content[0].Value) {
			return max(child.Line, 1)
		}
		if line := templateIn(child); line > 0 {
			return line
		}
	}
	return 0
}

// checkRendered refuses built objects with template text, unless they are left out anyway.
func (f *files) checkRendered(objects []*kyaml.RNode) error {
	for _, object := range objects {
		if templateIn(object.YNode()) == 0 || notApplied(object.YNode()) != nil {
			continue
		}
		for _, m := range f.manifests {
			for _, doc := range m.objects() {
				if value(doc, "kind") != object.GetKind() || notApplied(doc) != nil {
					continue
				}
				if line := m.template(doc); line > 0 {
					return f.error(m, notRendered(line))
				}
			}
		}
		return fmt.Errorf("base %s: %s: %w", f.dir, describe(object.GetKind(), object.GetNamespace(), object.GetName()),
			notRendered(templateIn(object.YNode())))
	}
	return nil
}
