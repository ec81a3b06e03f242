// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Parse reads the package's values. The place names the file or Secret in errors. Every defect is reported, joined with
// [errors.Join], each an [*Error] of one line. Empty data are valid: every key has a default.
//
// An empty or impossible repository is no defect of the file; [Values.Resolve] reports it.
func Parse(place string, data []byte) (Values, error) {
	root, err := document(place, data)
	if err != nil || root == nil {
		return Values{}, err
	}
	c := &checker{place: place}
	c.check("", root, reflect.TypeFor[Values](), false)
	if err := errors.Join(c.errs...); err != nil {
		return Values{}, err
	}
	var v Values
	if err := root.Decode(&v); err != nil {
		return Values{}, yamlError(place, err)
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
		return nil, yamlError(place, err)
	}
	if err := decoder.Decode(&second); err == nil {
		return nil, &Error{Place: place, Line: second.Line, Problem: "a second YAML document", Remedy: "keep all values in one"}
	} else if !errors.Is(err, io.EOF) {
		return nil, yamlError(place, err)
	}
	root := first.Content[0]
	if isNull(root) {
		return nil, nil
	}
	return root, nil
}

// yamlError makes one [*Error] of each complaint of the YAML library, whose texts begin with "yaml: " and "line N: ".
func yamlError(place string, err error) error {
	texts := []string{err.Error()}
	if typed, ok := errors.AsType[*yaml.TypeError](err); ok {
		texts = typed.Errors
	}
	numbered := regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(?s:(.*))$`)
	var errs []error
	for _, text := range texts {
		match := numbered.FindStringSubmatch(text)
		line, _ := strconv.Atoi(match[1]) // absent: 0, which means unknown
		errs = append(errs, &Error{
			Place: place, Line: line, Remedy: "correct the YAML",
			Problem: "is not valid YAML: " + strings.Join(strings.Fields(match[2]), " "),
		})
	}
	return errors.Join(errs...)
}

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}
