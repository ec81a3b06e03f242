// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"time"
)

// Names of the ways, as they stand in a report.
const (
	Direct = "direct"
	Proxy  = "proxy"
	Nginx  = "nginx"
)

// Report is what one go measured. It is the raw JSON.
type Report struct {
	Plan    string    `json:"plan"`
	Taken   time.Time `json:"taken"`
	Machine Machine   `json:"machine"`
	// Versions of the programs, by name.
	Versions map[string]string `json:"versions"`
	// LeftOut says what could not be measured, and why.
	LeftOut []string `json:"leftOut,omitempty"`
	Rows    []Row    `json:"rows"`
}

// Row is one thing that was measured, on each way.
type Row struct {
	// Part of the plan that it belongs to, as [Run] names them.
	Part     string `json:"part"`
	Scenario string `json:"scenario"`
	Measure  string `json:"measure"`
	Unit     string `json:"unit"`
	// Samples has one value a run, by way; the warm-up is not among them. The values at one place are of one
	// run.
	Samples  map[string][]float64 `json:"samples"`
	Verdicts []Verdict            `json:"verdicts,omitempty"`
}

// Verdict is a result beside its target.
type Verdict struct {
	What string `json:"what"`
	Unit string `json:"unit,omitempty"`
	// Value is the median; Low and High are the spread over the runs.
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	// AtLeast or AtMost is the target; neither: the value is a remark.
	AtLeast *float64 `json:"atLeast,omitempty"`
	AtMost  *float64 `json:"atMost,omitempty"`
}

// Met says whether the target is reached. A remark always is.
func (v Verdict) Met() bool {
	return (v.AtLeast == nil || v.Value >= *v.AtLeast) && (v.AtMost == nil || v.Value <= *v.AtMost)
}

func verdict(what, unit string, samples []float64) Verdict {
	return Verdict{What: what, Unit: unit, Value: median(samples), Low: slices.Min(samples), High: slices.Max(samples)}
}

func (v Verdict) atLeast(limit float64) Verdict { v.AtLeast = &limit; return v }
func (v Verdict) atMost(limit float64) Verdict  { v.AtMost = &limit; return v }

// ratio compares two ways within each run. A value of nothing, which is one too small to be measured, is
// taken for no ratio: 0.
func (r *Row) ratio(way, to string) Verdict {
	return verdict(way+" / "+to, "", paired(r.Samples[way], r.Samples[to], func(a, b float64) float64 {
		if b == 0 {
			return 0
		}
		return a / b
	}))
}

// added is what a way has more than the straight one, within each run.
func (r *Row) added(way string) Verdict {
	return verdict("added by the "+way, r.Unit, paired(r.Samples[way], r.Samples[Direct], func(a, b float64) float64 { return a - b }))
}

// of is one way by itself.
func (r *Row) of(way string) Verdict { return verdict(way, r.Unit, r.Samples[way]) }

// has says whether a way was measured.
func (r *Row) has(way string) bool { return len(r.Samples[way]) > 0 }

func paired(a, b []float64, f func(a, b float64) float64) []float64 {
	out := make([]float64, min(len(a), len(b)))
	for i := range out {
		out[i] = f(a[i], b[i])
	}
	return out
}

// median of values; of an even number, the mean of the two in the middle.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// percentile gives the least value that at least p of the values are not above (nearest rank); p is between 0
// and 1.
func percentile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(0, int(math.Ceil(p*float64(len(sorted))))-1)]
}

// Onto puts the parts that were measured again into an earlier report, in the place of what they measured
// before.
func (r Report) Onto(earlier Report) Report {
	again := map[string][]Row{}
	var order []string
	for _, row := range r.Rows {
		if again[row.Part] == nil {
			order = append(order, row.Part)
		}
		again[row.Part] = append(again[row.Part], row)
	}
	var rows []Row
	for _, row := range earlier.Rows {
		if _, ok := again[row.Part]; !ok {
			rows = append(rows, row)
			continue
		}
		rows = append(rows, again[row.Part]...)
		again[row.Part] = []Row{} // the others of the part are gone
	}
	for _, part := range order {
		rows = append(rows, again[part]...)
	}
	versions := maps.Clone(earlier.Versions)
	maps.Copy(versions, r.Versions)
	r.Rows, r.Versions = rows, versions
	return r
}

// Write writes the report as JSON.
func (r Report) Write(path string) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return os.WriteFile(path, append(content, '\n'), 0o644)
}

// ReadReport reads a report that was written.
func ReadReport(path string) (Report, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return Report{}, fmt.Errorf("read the report: %w", err)
	}
	var report Report
	if err := json.Unmarshal(content, &report); err != nil {
		return Report{}, fmt.Errorf("read the report %s: %w", path, err)
	}
	return report, nil
}
