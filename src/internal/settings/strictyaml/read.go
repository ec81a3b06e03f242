// SPDX-License-Identifier: Apache-2.0

package strictyaml

import (
	"encoding/json"
	"errors"

	"go.yaml.in/yaml/v3"
)

// SyntaxError is the YAML library's error about a text as a [*defect.Error]. The place and lines are as in
// [Format.Check].
func SyntaxError(place string, lines int, text []byte, err error) error {
	line, problem := Mistake(text, err)
	return notValid(place, lines+line, problem)
}

// ValueError makes one [*defect.Error] of each complaint of the YAML library about nodes that it has read.
// The place and lines are as in [Format.Check].
func ValueError(place string, lines int, err error) error {
	complaints := []error{err}
	if typed, ok := errors.AsType[*yaml.TypeError](err); ok {
		complaints = nil
		for _, text := range typed.Errors {
			complaints = append(complaints, errors.New(text))
		}
	}
	var errs []error
	for _, complaint := range complaints {
		line, problem := said(complaint)
		errs = append(errs, notValid(place, lines+max(line, 1), problem)) // without a line it is the document as a whole
	}
	return errors.Join(errs...)
}

func notValid(place string, line int, problem string) error {
	return &Error{Place: place, Line: line, Problem: "is not valid YAML: " + problem, Remedy: "correct the YAML"}
}

// JSON returns a node as JSON. What looks like a date is text.
func JSON(n *yaml.Node) ([]byte, error) {
	datesAsText(n)
	var value any
	if err := n.Decode(&value); err != nil {
		return nil, err
	}
	return json.Marshal(value)
}

func datesAsText(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!timestamp" {
		n.Tag = "!!str"
	}
	for _, child := range n.Content { // an alias has none, so there are no circles
		datesAsText(child)
	}
}
