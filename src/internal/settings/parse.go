// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"bytes"
	"errors"
	"io"
	"reflect"

	"go.yaml.in/yaml/v3"

	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/strictyaml"
)

// Parse reads the package's values. The place names the file or Secret in errors. Every defect is reported,
// joined with
// [errors.Join], each an [*Error] of one line. Empty data are valid: every key has a default.
//
// An empty or impossible repository is no defect of the file; [Values.Resolve] reports it.
func Parse(place string, data []byte) (Values, error) {
	root, err := document(place, data)
	if err != nil || root == nil {
		return Values{}, err
	}
	format := strictyaml.Format{Tag: "yaml", Remedy: remedyForKey}
	if err := format.Check(place, 0, root, reflect.TypeFor[Values]()); err != nil {
		return Values{}, err
	}
	var v Values
	if err := root.Decode(&v); err != nil {
		return Values{}, strictyaml.ValueError(place, 0, err)
	}
	return v, nil
}

// document returns the root node of the only document, nil when it is empty.
func document(place string, data []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var first, second yaml.Node
	if err := decoder.Decode(&first); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, strictyaml.SyntaxError(place, 0, data, err)
	}
	if err := decoder.Decode(&second); err == nil {
		return nil, &Error{Place: place, Line: second.Line, Problem: "a second YAML document",
			Remedy: "keep all values in one"}
	} else if !errors.Is(err, io.EOF) {
		return nil, strictyaml.SyntaxError(place, 0, data, err)
	}
	root := first.Content[0]
	if strictyaml.IsNull(root) {
		return nil, nil
	}
	return root, nil
}

// remedyForKey knows the key below which the platform has the values of this package.
func remedyForKey(parent, key string) string {
	if parent == "" && key == "local_source_proxy" {
		return "this file holds the package's own values: move the keys below it to the top level"
	}
	return ""
}
