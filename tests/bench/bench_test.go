// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

var (
	full    = flag.Bool("full", false, "measure with full sizes, instead of a smoke test with small ones")
	only    = flag.String("only", "", "measure only these `parts`, by commas, such as blob,requests; README.md has their names")
	runs    = flag.Int("runs", 0, "how many runs count, instead of the plan's number")
	results = flag.String("results", "", "`file` to write the report to, as JSON")
	memory  = flag.String("memory", "", "`directory` in memory for blobs; empty: on disk")
	bundle  = flag.String("bundle", "", "`file` with the package's bundle (dist/local-source-proxy.tar); empty: without the image's size")
	update  = flag.Bool("update", false, "write the figures of results/report.json into README.md")
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(harness.Main(m, "registry"))
}

// TestBench is the benchmark. With small sizes it is the smoke test of the harness: all must arrive, on every
// way, and every measure must have a value.
func TestBench(t *testing.T) {
	plan := Smoke()
	if *full {
		plan = Full()
	}
	if *only != "" {
		plan.Only = strings.Split(*only, ",")
	}
	if *runs > 0 {
		plan.Runs = *runs
	}
	plan.Memory, plan.Bundle = *memory, *bundle
	plan.Cluster = Cluster{
		Kubernetes: os.Getenv("LSP_BENCH_KUBERNETES"), Plugin: os.Getenv("LSP_BENCH_PLUGIN"),
		Address: os.Getenv("LSP_BENCH_ADDRESS"), Missing: os.Getenv("LSP_BENCH_MISSING"),
	}
	report := Run(t, plan)
	for _, row := range report.Rows {
		if len(row.Samples) == 0 {
			t.Errorf("%s, %s: nothing was measured", row.Scenario, row.Measure)
		}
		for way, samples := range row.Samples {
			for _, sample := range samples {
				// CPU times are counted in hundredths of a second, and may round to nothing.
				if sample < 0 || sample == 0 && row.Measure != cpu && row.Measure != allCPU {
					t.Errorf("%s, %s, %s: measured %v", row.Scenario, row.Measure, way, sample)
				}
			}
		}
	}
	path := *results
	if path == "" {
		path = filepath.Join(t.TempDir(), "report.json")
	}
	if earlier, err := ReadReport(path); err == nil && *only != "" {
		report = report.Onto(earlier)
	}
	if err := report.Write(path); err != nil {
		t.Fatal(err)
	}
	read, err := ReadReport(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := read.Table(), report.Table(); got != want {
		t.Errorf("the report reads otherwise than it was written:\n%s", cmp.Diff(want, got))
	}
	if testing.Verbose() {
		t.Logf("what was measured:\n%s", report.Table())
	}
}

// TestFindings keeps the figures in README.md those of results/report.json.
func TestFindings(t *testing.T) {
	report, err := ReadReport(filepath.Join("results", "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	readsAs(t, "summary", "\n"+report.Summary()+"\n")
	readsAs(t, "results", "\n"+report.Table()+"\n")
}

// readsAs compares what stands between two marks of README.md, or writes it there.
func readsAs(t *testing.T, mark, want string) {
	t.Helper()
	const file = "README.md"
	begin, end := "<!-- "+mark+" -->\n", "<!-- /"+mark+" -->"
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begun := strings.Cut(string(content), begin)
	table, after, ended := strings.Cut(rest, end)
	if !begun || !ended {
		t.Fatalf("%s has no %s … %s", file, strings.TrimSpace(begin), end)
	}
	if *update {
		if err := os.WriteFile(file, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, table); diff != "" {
		t.Errorf("the figures in %s are not those of results/report.json; scripts/bench.sh --table writes them:\n%s", file, diff)
	}
}
