// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// way leads to a registry.
type way struct {
	name string
	open func(t *testing.T, upstream *harness.Registry) place
}

// A test that passes straight at a registry passes through us. The table of tests/README.md says how many
// that are.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	all, kinds := suites(), registries()
	rows := make([][]string, len(all)*len(kinds))
	complete := t.Run("at", func(t *testing.T) {
		for i, s := range all {
			for j, r := range kinds {
				row := &rows[i*len(kinds)+j]
				t.Run(s.name+", "+r.name, func(t *testing.T) {
					t.Parallel()
					cells := append([]string{s.name, r.name}, s.compare(t, r)...)
					*row = append(cells, s.compareReading(t, r)...)
				})
			}
		}
	})
	table := header
	for _, row := range rows {
		complete = complete && row != nil
		table += "| " + strings.Join(row, " | ") + " |\n"
	}
	fmt.Print(table)
	if !complete {
		t.Log("a registry is missing or a test is lost: the table of tests/README.md is not compared")
		return
	}
	compareTable(t, table)
}

// compare runs the whole suite on every way and returns its cells of the table.
func (s suite) compare(t *testing.T, r registry) []string {
	t.Helper()
	before := s.run(t, straight(t, r.start(t)), s.whole)
	cells := []string{before.String()}
	for _, w := range []way{{"the source proxy", sourceProxy}, {"kubectl lsp registry", plugin}} {
		after := s.run(t, w.open(t, r.start(t)), s.whole)
		report(t, w, before, after)
		cells = append(cells, after.String())
	}
	return cells
}

// compareReading does so for what reads, with the image proxy.
func (s suite) compareReading(t *testing.T, r registry) []string {
	t.Helper()
	upstream := r.start(t)
	settings := s.reading(filled(t, upstream))
	before := s.run(t, straight(t, upstream), settings...)
	if before.count(passed) == 0 {
		t.Fatalf("nothing is read: %v", before)
	}
	w := way{"the image proxy", imageProxy}
	after := s.run(t, w.open(t, upstream), settings...)
	report(t, w, before, after)
	return []string{before.String(), after.String()}
}

func report(t *testing.T, w way, before, after verdicts) {
	t.Helper()
	lost := worse(before, after)
	for _, one := range lost {
		t.Errorf("through %s: %s", w.name, one)
	}
	t.Logf("through %s: %s, straight %s, %d lost", w.name, after, before, len(lost))
}
