// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		if got := median(test.values); got != test.want {
			t.Errorf("median of %v: %v, want %v", test.values, got, test.want)
		}
	}
}

func TestPercentile(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i)
	}
	for p, want := range map[float64]float64{0: 1, .01: 1, .5: 50, .501: 51, .99: 99, 1: 100} {
		if got := percentile(hundred, p); got != want {
			t.Errorf("percentile %v of 1 to 100: %v, want %v", p, got, want)
		}
	}
}

// Ratios are taken within a run: here the machine was twice as slow in the second run, and the ratio stays.
func TestRatioIsOfOneRun(t *testing.T) {
	row := Row{Samples: map[string][]float64{Proxy: {90, 45, 95}, Direct: {100, 50, 100}}}
	want := Verdict{What: "proxy / direct", Value: .9, Low: .9, High: .95}
	if diff := cmp.Diff(want, row.ratio(Proxy, Direct)); diff != "" {
		t.Error(diff)
	}
	row.Unit = "µs"
	want = Verdict{What: "added by the proxy", Unit: "µs", Value: -5, Low: -10, High: -5}
	if diff := cmp.Diff(want, row.added(Proxy)); diff != "" {
		t.Error(diff)
	}
}

func TestTableNamesWhatIsMissed(t *testing.T) {
	row := Row{Scenario: "a push", Measure: "throughput", Unit: "MiB/s", Samples: map[string][]float64{Proxy: {80, 85}, Direct: {100, 100}}}
	row.Verdicts = []Verdict{row.ratio(Proxy, Direct).atLeast(.9), row.of(Proxy).atMost(100)}
	table := Report{LeftOut: []string{"nginx is not installed"}, Rows: []Row{row}}.Table()
	for _, want := range []string{
		"Left out: nginx is not installed.",
		"| a push   | throughput, MiB/s | 100 (100–100) | 82.5 (80–85) |       | proxy / direct: 0.82 (0.80–0.85) | ≥ 0.90: MISSED |",
		"| proxy: 82.5 MiB/s (80–85)        | ≤ 100: met     |",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("the table lacks %q:\n%s", want, table)
		}
	}
}

func TestPartsThatAreMeasuredAgain(t *testing.T) {
	row := func(part, scenario string) Row { return Row{Part: part, Scenario: scenario} }
	earlier := Report{
		Rows:     []Row{row("start", "a"), row("blob", "b"), row("blob", "c"), row("tree", "d")},
		Versions: map[string]string{"Go": "1", "Kubernetes": "1"},
	}
	again := Report{Rows: []Row{row("faults", "e"), row("blob", "b"), row("blob", "f")}, Versions: map[string]string{"Go": "2"}}
	want := Report{
		Rows:     []Row{row("start", "a"), row("blob", "b"), row("blob", "f"), row("tree", "d"), row("faults", "e")},
		Versions: map[string]string{"Go": "2", "Kubernetes": "1"},
	}
	if diff := cmp.Diff(want, again.Onto(earlier)); diff != "" {
		t.Error(diff)
	}
}
