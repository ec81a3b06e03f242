// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// verdict is what a suite says of one test. A greater one is better.
type verdict int

const (
	failed verdict = iota
	skipped
	passed
)

// verdictOf reads the status of a test in a report.
func verdictOf(status string) verdict {
	switch status {
	case "passed":
		return passed
	case "skipped":
		return skipped
	default:
		return failed
	}
}

func (v verdict) String() string { return [...]string{"failed", "skipped", "passed"}[v] }

type result struct {
	verdict verdict
	said    string
}

// verdicts are the results of a run by the tests' names. Several tests of a suite may have the same name.
type verdicts map[string][]result

// count returns how many tests have a verdict.
func (v verdicts) count(wanted verdict) int {
	n := 0
	for _, results := range v {
		for _, r := range results {
			if r.verdict == wanted {
				n++
			}
		}
	}
	return n
}

// String is a cell of the table.
func (v verdicts) String() string {
	return fmt.Sprintf("%d / %d / %d", v.count(passed), v.count(failed), v.count(skipped))
}

// worse lists the tests whose verdict through a proxy is worse than straight. A test that did not run
// straight has none to compare with: a suite leaves out the rest when a first step fails, and tries other
// forms of an upload only then.
func worse(straight, through verdicts) []string {
	var lost []string
	for _, name := range slices.Sorted(maps.Keys(straight)) {
		is := ordered(through[name])
		for i, before := range ordered(straight[name]) {
			after := result{verdict: skipped, said: "it did not run"}
			if i < len(is) {
				after = is[i]
			}
			if after.verdict < before.verdict {
				lost = append(lost, fmt.Sprintf("%s: %s straight, %s through\n%s",
					name, before.verdict, after.verdict, after.said))
			}
		}
	}
	return lost
}

// ordered sorts the best first: tests of one name cannot be told apart.
func ordered(results []result) []result {
	return slices.SortedStableFunc(slices.Values(results), func(a, b result) int {
		return cmp.Compare(b.verdict, a.verdict)
	})
}

func TestWorse(t *testing.T) {
	t.Parallel()
	run := func(all ...verdict) verdicts {
		v := verdicts{}
		for _, one := range all {
			v["x"] = append(v["x"], result{verdict: one})
		}
		return v
	}
	for _, test := range []struct {
		straight, through verdicts
		lost              int
	}{
		{run(passed, failed), run(failed, passed), 0},
		{run(passed, passed), run(failed, passed), 1},
		{run(passed), run(skipped), 1},
		{run(passed), run(), 1},
		{run(skipped), run(failed), 1},
		{run(), run(failed), 0},
		{run(failed), run(), 0},
		{run(failed), run(skipped), 0},
		{run(), run(passed, skipped), 0},
	} {
		if lost := worse(test.straight, test.through); len(lost) != test.lost {
			t.Errorf("straight %v, through %v: lost are %s, want %d",
				test.straight, test.through, strings.Join(lost, "; "), test.lost)
		}
	}
}

// A report of the new suite has a status for each test, one of the old says it in words of its own.
func TestReportIsRead(t *testing.T) {
	t.Parallel()
	found, err := read([]byte(`<testsuites><testsuite>
		<testcase name="blob sha256:0123456789012345678901234567890123456789012345678901234567890123" status="passed"/>
		<testcase name="a" status="failed"><failure message="no"/></testcase>
		<testcase name="a" status="skipped"/><testcase name="b" status="error"/>
		<testcase name="[ReportAfterSuite] html" status="passed"/>
	</testsuite></testsuites>`))
	if err != nil || found.String() != "1 / 2 / 1" || len(found["blob sha256:…"]) != 1 || found["a"][0].said != "no" {
		t.Errorf("%v, %v", found, err)
	}
}
