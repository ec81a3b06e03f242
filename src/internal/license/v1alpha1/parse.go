// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/strictyaml"
)

// Document is one YAML document and what became of it.
//
// +kubebuilder:object:generate=false
type Document struct {
	// Object is nil with an error.
	Object Object
	// Err joins everything that is wrong with it, each a [*defect.Error].
	Err error
	// Kind and Name are the object's, as far as they can be read; empty where not.
	Kind, Name string
	// Revoked says that a license, however wrong it is otherwise, says that it is revoked.
	Revoked bool
	// Start and End are where in the data the document is, with the line that begins it.
	Start, End int
	// Sum tells texts of documents apart.
	Sum [sha256.Size]byte

	place string
	lines int // above the document
	text  []byte
	root  *yaml.Node
}

// Parse reads the objects of a file of any number of YAML documents. The place names it in errors. Documents
// that are wrong leave the rest: their errors are joined, one for each, and the objects of the others are
// returned all the same. Whether what is written can be used is for [Object.Validate] to say.
func Parse(place string, data []byte) ([]Object, error) {
	var objects []Object
	var errs []error
	for _, document := range Documents(place, data) {
		if document.Err != nil {
			errs = append(errs, document.Err)
		} else {
			objects = append(objects, document.Object)
		}
	}
	return objects, errors.Join(errs...)
}

// Documents reads the same, with what is known of those that are wrong. Empty documents are left out.
func Documents(place string, data []byte) []Document {
	var documents []Document
	for _, document := range Split(place, data) {
		if document.Read() {
			documents = append(documents, document)
		}
	}
	return documents
}

// Split returns the documents of a file, which are to be read one by one: it cuts at the lines that begin a
// document. The YAML library cannot go on behind one that it does not understand.
func Split(place string, data []byte) []Document {
	documents := make([]Document, 0, 1+bytes.Count(data, []byte("\n---")))
	begin, end, line, first := 0, 0, 0, 0
	cut := func() {
		text := data[begin:end]
		documents = append(documents,
			Document{Start: begin, End: end, Sum: sha256.Sum256(text), place: place, lines: first, text: text})
		begin, first = end, line
	}
	for text := range bytes.Lines(data) {
		if rest, marker := bytes.CutPrefix(text, []byte("---")); marker && (len(rest) == 0 || bytes.ContainsAny(rest[:1], " \t\r\n")) {
			cut()
		}
		end += len(text)
		line++
	}
	cut()
	return documents
}

// Read reads a document, and reports whether there is anything in it.
func (d *Document) Read() bool {
	decoder := yaml.NewDecoder(bytes.NewReader(d.text))
	var node, second yaml.Node
	switch err := decoder.Decode(&node); {
	case errors.Is(err, io.EOF):
		return false
	case err != nil:
		d.Err = strictyaml.SyntaxError(d.place, d.lines, d.text, err)
		return true
	}
	switch err := decoder.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		d.Err = strictyaml.SyntaxError(d.place, d.lines, d.text, err)
		return true
	default:
		d.root = second.Content[0]
		d.fail("", "something follows the end of the document",
			"end lines with a line feed, and begin every document with ---")
		return true
	}
	d.root = node.Content[0]
	if strictyaml.IsNull(d.root) {
		return false
	}
	d.identify()
	object := d.blank()
	if object == nil {
		return true
	}
	format := strictyaml.Format{Tag: "json"}
	if d.Err = format.Check(d.place, d.lines, d.root, reflect.TypeOf(object).Elem()); d.Err != nil {
		return true
	}
	text, err := strictyaml.JSON(d.root)
	if err != nil {
		d.Err = strictyaml.ValueError(d.place, d.lines, err)
		return true
	}
	if json.Unmarshal(text, object) != nil { // its text is about Go
		d.fail("", "one value stands for several of different kinds", "write every value out, without & and *")
		return true
	}
	d.Object = object
	return true
}

// Identified reports whether it is known which object this is meant to be, however wrong it is otherwise.
func (d *Document) Identified() bool {
	return (d.Kind == LicenseKind || d.Kind == RegistryKind) && len(validation.IsDNS1123Subdomain(d.Name)) == 0
}

// identify takes what little is needed to say which object this is meant to be.
func (d *Document) identify() {
	d.Kind, d.Name = text(d.root, "kind"), text(d.root, "metadata", "name")
	d.Revoked = d.Kind == LicenseKind && revokes(find(d.root, "spec"))
}

// revokes reports whether a spec says that it is revoked, once among other times, or in quotes: nobody writes
// that without meaning it.
func revokes(spec *yaml.Node) bool {
	if spec != nil && spec.Kind == yaml.AliasNode {
		spec = spec.Alias
	}
	if spec == nil || spec.Kind != yaml.MappingNode {
		return false
	}
	for i := 0; i+1 < len(spec.Content); i += 2 {
		value := spec.Content[i+1]
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		if spec.Content[i].Value == "revoked" && value.Kind == yaml.ScalarNode &&
			slices.Contains([]string{"true", "yes", "on", "y"}, strings.ToLower(strings.TrimSpace(value.Value))) {
			return true
		}
	}
	return false
}

// blank returns an empty object of the document's kind, or nil and an error where there is none.
func (d *Document) blank() Object {
	switch version := text(d.root, "apiVersion"); {
	case d.root.Kind != yaml.MappingNode:
		d.fail("", "is no object", "write apiVersion, kind, metadata and spec")
	case version != APIVersion:
		d.fail("apiVersion", "is not "+APIVersion, "write that, or keep other objects elsewhere")
	case d.Kind == LicenseKind:
		return &License{}
	case d.Kind == RegistryKind:
		return &ExternalRegistry{}
	default:
		d.fail("kind", "is neither "+LicenseKind+" nor "+RegistryKind, "write one of them")
	}
	return nil
}

// fail adds a defect at the key, or, where that was not written, at what is nearest above it.
func (d *Document) fail(key, problem, remedy string) {
	d.Err = errors.Join(d.Err,
		&strictyaml.Error{Place: d.place, Line: d.line(key), Key: key, Problem: problem, Remedy: remedy})
}

// line returns the line in the file on which a key such as "spec.credentials[0].name" was written.
func (d *Document) line(key string) int {
	node := d.root
	for step := range strings.FieldsFuncSeq(key, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		next := child(node, step)
		if next == nil {
			break
		}
		node = next
	}
	return d.lines + node.Line
}

// child returns the value of a key of a mapping, or an item of a list; nil where there is none.
func child(n *yaml.Node, step string) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.SequenceNode {
		return strictyaml.Value(n, step)
	}
	if index, err := strconv.Atoi(step); err == nil && index >= 0 && index < len(n.Content) {
		return n.Content[index]
	}
	return nil
}

func find(n *yaml.Node, steps ...string) *yaml.Node {
	for _, step := range steps {
		if n = child(n, step); n == nil {
			return nil
		}
	}
	return n
}

// text is the text at the end of the steps, empty where there is none.
func text(n *yaml.Node, steps ...string) string {
	found := find(n, steps...)
	if found == nil || found.Kind != yaml.ScalarNode || found.ShortTag() != "!!str" {
		return ""
	}
	return found.Value
}
