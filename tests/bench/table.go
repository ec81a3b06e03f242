// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Table writes the report as a Markdown table that can be read as plain text, too, with what it was measured
// on in front.
func (r Report) Table() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s; %s; blobs on %s; %s.\n", r.Taken.UTC().Format("2006-01-02"), r.Machine, r.Machine.Storage, r.versions())
	for _, reason := range r.LeftOut {
		fmt.Fprintf(&out, "Left out: %s.\n", reason)
	}
	out.WriteString("\n")
	lines := [][]string{{"scenario", "measure", Direct, Proxy, Nginx, "result", "target"}}
	before := ""
	for _, row := range r.Rows {
		scenario := row.Scenario
		if scenario == before {
			scenario = ""
		}
		before = row.Scenario
		line := []string{scenario, row.Measure + unit(row.Unit)}
		for _, way := range []string{Direct, Proxy, Nginx} {
			line = append(line, cell(row.Samples[way]))
		}
		if len(row.Verdicts) == 0 {
			lines = append(lines, append(line, "", ""))
		}
		for _, v := range row.Verdicts {
			lines = append(lines, append(slices.Clone(line), v.result(), v.target()))
			line = make([]string, len(line))
		}
	}
	writeTable(&out, lines)
	return out.String()
}

func (r Report) versions() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		all = append(all, name+" "+r.Versions[name])
	}
	return strings.Join(all, ", ")
}

func unit(name string) string {
	if name == "" {
		return ""
	}
	return ", " + name
}

// cell is the median and, where there is more than one run, the spread.
func cell(samples []float64) string {
	switch len(samples) {
	case 0:
		return ""
	case 1:
		return number(samples[0])
	default:
		return fmt.Sprintf("%s (%s–%s)", number(median(samples)), number(slices.Min(samples)), number(slices.Max(samples)))
	}
}

func (v Verdict) result() string {
	text := v.What + ": " + number(v.Value)
	if v.Unit != "" {
		text += " " + v.Unit
	}
	if v.Low != v.High {
		text += fmt.Sprintf(" (%s–%s)", number(v.Low), number(v.High))
	}
	return text
}

func (v Verdict) target() string {
	outcome := "met"
	if !v.Met() {
		outcome = "MISSED"
	}
	switch {
	case v.AtLeast != nil:
		return fmt.Sprintf("≥ %s: %s", number(*v.AtLeast), outcome)
	case v.AtMost != nil:
		return fmt.Sprintf("≤ %s: %s", number(*v.AtMost), outcome)
	default:
		return ""
	}
}

// number writes three digits that mean something.
func number(x float64) string {
	switch size := math.Abs(x); {
	case size >= 100 || x == math.Trunc(x):
		return strconv.FormatFloat(x, 'f', 0, 64)
	case size >= 10:
		return strconv.FormatFloat(x, 'f', 1, 64)
	default:
		return strconv.FormatFloat(x, 'f', 2, 64)
	}
}

func writeTable(out *strings.Builder, lines [][]string) {
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, text := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(text))
		}
	}
	for i, line := range lines {
		for j, text := range line {
			fmt.Fprintf(out, "| %s%s ", text, strings.Repeat(" ", widths[j]-utf8.RuneCountInString(text)))
		}
		out.WriteString("|\n")
		if i > 0 {
			continue
		}
		for _, width := range widths {
			out.WriteString("|" + strings.Repeat("-", width+2))
		}
		out.WriteString("|\n")
	}
}
