// SPDX-License-Identifier: Apache-2.0

package license

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/aymanbagabas/go-udiff"
	"go.yaml.in/yaml/v3"
)

// style is how an author indents.
type style struct {
	width int
	// flush lists begin in the column of their key.
	flush bool
}

// styleOf looks at the first mapping and the first list inside of another.
func styleOf(root *yaml.Node) style {
	s := style{width: 2}
	var look func(n *yaml.Node) bool
	look = func(n *yaml.Node) bool {
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			if value.Style&yaml.FlowStyle != 0 || len(value.Content) == 0 {
				continue
			}
			if value.Kind == yaml.SequenceNode {
				s.flush = value.Column == key.Column
				return true
			}
			s.width = max(2, value.Column-key.Column)
			if look(value) {
				return true
			}
		}
		return false
	}
	look(root.Content[0])
	return s
}

// write returns a document as YAML.
func (s style) write(root *yaml.Node) (string, error) {
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(s.width)
	if s.flush {
		encoder.CompactSeqIndent()
	}
	if err := encoder.Encode(root); err != nil {
		return "", fmt.Errorf("write the YAML: %w", err)
	}
	if err := encoder.Close(); err != nil {
		return "", fmt.Errorf("write the YAML: %w", err)
	}
	return text.String(), nil
}

// graft makes the lines of the original that differ between before and after those of after. The encoder that
// wrote these two drops empty lines and the spaces ahead of comments; where there is more to it, after is all
// there is.
func graft(original, before, after string) string {
	lines := slices.Collect(strings.Lines(original))
	var place []int // in the original, of the lines of before
	for i, line := range lines {
		if squeeze(line) != "" {
			place = append(place, i)
		}
	}
	old := filled(before)
	if !slices.EqualFunc(place, old, func(i int, line string) bool { return squeeze(lines[i]) == squeeze(line) }) {
		return after
	}
	before, after = strings.Join(old, ""), strings.Join(filled(after), "")

	var out strings.Builder
	done := 0 // lines of the original
	for _, e := range udiff.Lines(before, after) {
		first, next := strings.Count(before[:e.Start], "\n"), strings.Count(before[:e.End], "\n")
		begin := 0
		switch {
		case first < next:
			begin = place[first]
		case first > 0:
			begin = place[first-1] + 1 // what is new follows its predecessor, ahead of empty lines
		}
		out.WriteString(strings.Join(lines[done:begin], ""))
		out.WriteString(e.New)
		if done = begin; first < next {
			done = place[next-1] + 1
		}
	}
	out.WriteString(strings.Join(lines[done:], ""))
	return out.String()
}

// filled returns the lines in which there is something.
func filled(text string) []string {
	return slices.DeleteFunc(slices.Collect(strings.Lines(text)), func(line string) bool { return squeeze(line) == "" })
}

func squeeze(line string) string { return strings.Join(strings.Fields(line), "") }
