// SPDX-License-Identifier: Apache-2.0

package strictyaml_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/strictyaml"
)

// mistakes have theirs on the line that says "here".
func mistakes() map[string]string {
	return map[string]string{
		"an open brace":           "a: b\nc:\nd: {here: acme\ne: f\n",
		"an open brace at last":   "a: b\nd: { # here",
		"an open bracket":         "a: b\nc: [here\ne: f\n",
		"an open bracket at last": "a: b\nc: [ # here\n\n# end\n\n",
		"no item":                 "a: [\n  b,\n  , here\n  c]\n",
		"an open quote":           "a: b\nc: \"here\nd: e\n",
		"no colon":                "a: b\nhere\nc: d\n",
		"a colon too many":        "a: b\nc: d\ne: here: f\n",
		"a tab":                   "a:\n  b: c\n\there: d\n",
		"an at sign":              "a: b\nc: @here\nd: e\n",
		"an item among keys":      "a: b\nc: d\n- here\ne: f\n",
		"a key among items":       "- a\n- b\nhere: c\n- d\n",
		"a key too far left":      "a:\n    b: c\n  here: d\ne: f\n",
		"an unknown anchor":       "a: b\nc: *here\nd: e\n",
		"an unknown tag":          "a: b\nc: !x!y here\nd: e\n",
		"a control character":     "a: b\nc: here\x01\nd: e\n",
		"no UTF-8":                "a: b\nc: here\xff\nd: e\n",
		"an unknown escape":       "a: b\nc: \"here\\j\"\nd: e\n",
	}
}

func TestMistake(t *testing.T) {
	for name, text := range mistakes() {
		for above, before := range map[string]string{
			"first": "", "below a comment": "# x\n\n", "in a later document": "x: [y]\n---\n", "with a byte order mark": "\ufeff",
		} {
			text := []byte(before + text)
			t.Run(name+", "+above, func(t *testing.T) {
				err := read(text)
				if err == nil {
					t.Fatal("the library takes it")
				}
				line, problem := strictyaml.Mistake(text, err)
				if want := 1 + strings.Count(string(text[:bytes.Index(text, []byte("here"))]), "\n"); line != want {
					t.Errorf("line %d, want %d: %s", line, want, problem)
				}
				if problem == "" || strings.Contains(problem, "here") || strings.Contains(problem, "line ") {
					t.Errorf("problem %q", problem)
				}
			})
		}
	}
}

// In the first line the library says none.
func TestMistakeInTheFirstLine(t *testing.T) {
	for name, text := range map[string]string{
		"an open brace": "a: {\nb: c\nd: e\n", "an open quote": "\"a\nb: c\n", "a colon": "a: b: c\nd: e\n", "an anchor": "a: *b\nc: d\n", "a bracket": "a: [",
	} {
		if line, problem := strictyaml.Mistake([]byte(text), read([]byte(text))); line != 1 {
			t.Errorf("%s: line %d: %s", name, line, problem)
		}
	}
}

// read returns the library's error.
func read(text []byte) error {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		if err := decoder.Decode(new(yaml.Node)); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
