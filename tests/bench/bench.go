// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// Bench is one go: a plan, the site that it is carried out on, and the report that comes of it.
type Bench struct {
	Plan
	Report Report

	site  *Site
	nginx string
}

// Run carries out a plan.
func Run(t testing.TB, plan Plan) Report {
	t.Helper()
	b := &Bench{Plan: plan}
	nginx, reason := findNginx()
	b.nginx = nginx
	if reason != "" {
		b.leaveOut(t, reason)
	}
	storage, kind := Storage(t, plan)
	b.site = StartSite(t, Place{Storage: storage})
	b.site.open(t, nginx)
	b.Report.Plan, b.Report.Taken, b.Report.Machine = plan.Name, time.Now(), machine(kind)
	b.Report.Versions = versions(t, os.Getenv(harness.BinaryVariable), harness.Tool(t, "registry"), nginx)
	for _, part := range []struct {
		name    string
		measure func(testing.TB)
	}{
		// The ladder comes before the crowds: what many pushes have taken, a process gives back late.
		{"start", b.start}, {"image", b.image}, {"idle", b.idle}, {"ladder", b.ladder}, {"blob", b.blob}, {"crowds", b.crowds},
		{"requests", b.requests}, {"tree", b.tree}, {"faults", b.faults}, {"distance", b.distance},
		{"pull", b.pull}, {"cache", b.cached}, {"admission", b.admission}, {"licenses", b.licenses}, {"refusal", b.refusal},
	} {
		if len(plan.Only) > 0 && !slices.Contains(plan.Only, part.name) {
			continue
		}
		before := len(b.Report.Rows)
		part.measure(t)
		for i := range b.Report.Rows[before:] {
			b.Report.Rows[before+i].Part = part.name
		}
	}
	return b.Report
}

// leaveOut says what cannot be measured, and why.
func (b *Bench) leaveOut(t testing.TB, what string) {
	t.Helper()
	t.Logf("left out: %s", what)
	b.Report.LeftOut = append(b.Report.LeftOut, what)
}

// turns calls measure for every run and way, in another order each run; the first run is a warm-up, and
// counts is false in it.
func (b *Bench) turns(t testing.TB, what string, ways []*Way, measure func(way *Way, counts bool)) {
	t.Helper()
	start := time.Now()
	for run := range b.Runs + 1 {
		for i := range ways {
			measure(ways[(i+run)%len(ways)], run > 0)
		}
	}
	t.Logf("%s: %d runs in %s", what, b.Runs, time.Since(start).Round(time.Second))
}

// sampler gathers rows.
type sampler struct {
	scenario string
	order    []string
	rows     map[string]*Row
}

func newSampler(scenario string) *sampler {
	return &sampler{scenario: scenario, rows: map[string]*Row{}}
}

func (s *sampler) row(measure, unit string) *Row {
	row := s.rows[measure]
	if row == nil {
		row = &Row{Scenario: s.scenario, Measure: measure, Unit: unit, Samples: map[string][]float64{}}
		s.rows[measure] = row
		s.order = append(s.order, measure)
	}
	return row
}

func (s *sampler) add(measure, unit, way string, value float64) {
	row := s.row(measure, unit)
	row.Samples[way] = append(row.Samples[way], value)
}

func (b *Bench) keep(s *sampler) {
	for _, measure := range s.order {
		b.Report.Rows = append(b.Report.Rows, *s.rows[measure])
	}
}

// check ends the test on an error.
func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// inMiB gives bytes in MiB.
func inMiB(bytes int64) float64 { return float64(bytes) / float64(mib) }
