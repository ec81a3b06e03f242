// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// maxAdmission is how long a license may be looked at, in µs.
const maxAdmission = 10

// admission measures the decision about one request with 10,000 licenses, from its header to where on which
// registry it goes. No client can tell that time from that of the rest of a request; so it is a benchmark
// beside the server's code, which is run from here.
func (b *Bench) admission(t testing.TB) {
	t.Helper()
	times, err := admissions(t.Context(), b.Runs, b.Admission)
	check(t, err)
	s := newSampler("license check with 10000 licenses")
	for _, shown := range []struct{ name, title string }{
		{"license", "admission by license"}, {"token", "admission by token"},
		{"tag", "admission by license with patterns, to a tag"}, {"digest", "admission by license with patterns, to a known digest"},
	} {
		for _, nanoseconds := range times[shown.name] {
			s.add(shown.title, "µs", Proxy, nanoseconds/1000)
		}
		row := s.row(shown.title, "µs")
		if !row.has(Proxy) {
			t.Fatalf("the benchmark says nothing of a %s", shown.name)
		}
		row.Verdicts = []Verdict{row.of(Proxy).atMost(maxAdmission)}
	}
	b.keep(s)
}

// errNoBenchmark says that there was nothing to be read.
var errNoBenchmark = errors.New("no benchmark ran")

// admissions runs the benchmark, and gives the times of each run in ns, by what is shown.
func admissions(ctx context.Context, runs int, howLong string) (map[string][]float64, error) {
	root, err := harness.Root()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-run=^$", "-bench=^BenchmarkAdmission$/^10000$",
		"-count="+strconv.Itoa(runs), "-benchtime="+howLong, "./src/internal/imageproxy")
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("measure admission: %w: %s", err, out)
	}
	times := parseBenchmark(string(out))
	if len(times) == 0 {
		return nil, fmt.Errorf("measure admission: %w: %s", errNoBenchmark, out)
	}
	return times, nil
}

// parseBenchmark gives the nanoseconds of each run, by the last part of its name, as go test prints them.
func parseBenchmark(output string) map[string][]float64 {
	line := regexp.MustCompile(`^Benchmark\S*/([^/\s]+?)(?:-\d+)?\s+\d+\s+([0-9.]+) ns/op`)
	times := map[string][]float64{}
	for scanner := bufio.NewScanner(strings.NewReader(output)); scanner.Scan(); {
		if match := line.FindStringSubmatch(scanner.Text()); match != nil {
			nanoseconds, _ := strconv.ParseFloat(match[2], 64) // digits
			times[match[1]] = append(times[match[1]], nanoseconds)
		}
	}
	return times
}
