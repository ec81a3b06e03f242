// SPDX-License-Identifier: Apache-2.0

package strictyaml

import (
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/local-source-proxy/local-source-proxy/src/internal/defect"
)

// SyntaxError makes one [*defect.Error] of each complaint of the YAML library, whose texts begin with "yaml: " and "line N: ". The
// place and lines are as in [Format.Check].
func SyntaxError(place string, lines int, err error) error {
	texts := []string{err.Error()}
	if typed, ok := errors.AsType[*yaml.TypeError](err); ok {
		texts = typed.Errors
	}
	numbered := regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(?s:(.*))$`)
	var errs []error
	for _, text := range texts {
		match := numbered.FindStringSubmatch(text)
		line, _ := strconv.Atoi(match[1]) // absent: 0, of the document as a whole
		errs = append(errs, &defect.Error{
			Place: place, Line: lines + max(line, 1), Remedy: "correct the YAML",
			Problem: "is not valid YAML: " + strings.Join(strings.Fields(match[2]), " "),
		})
	}
	return errors.Join(errs...)
}

// JSON gives a node as JSON. What looks like a date is text.
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
