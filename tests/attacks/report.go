// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

// Report is what one go of the attacks brought, as it is kept in results/.
type Report struct {
	// Commit is of the server.
	Commit  string    `json:"commit"`
	Machine string    `json:"machine"`
	Results []Outcome `json:"results"`
}

// Outcome is what became of the server and of the honest client under one attack.
type Outcome struct {
	Attack string    `json:"attack"`
	Side   side      `json:"side"`
	Taken  time.Time `json:"taken"`
	// Seconds is how long the attack lasted, Connections how many it held.
	Seconds     float64 `json:"seconds"`
	Connections int     `json:"connections"`
	// Killed says that the kernel ended the server for want of memory.
	Killed bool `json:"killed"`
	// Limit is that of the cgroup, and Peak the most memory that it counted, in bytes. With and Sockets are
	// samples: the most memory with what the kernel held for sockets, and the most that it held for them.
	Limit   int64 `json:"limit"`
	Peak    int64 `json:"peak"`
	With    int64 `json:"with"`
	Sockets int64 `json:"sockets"`
	// CPU is the share of one processor that the server used.
	CPU float64 `json:"cpu"`
	// Quiet is the honest client before the attack, Attacked during it.
	Quiet    *Honest `json:"quiet"`
	Attacked *Honest `json:"attacked"`
	// Goroutines and Files are what the server held before the attack, and after it.
	Goroutines [2]int `json:"goroutines"`
	Files      [2]int `json:"files"`
}

// slow is how long, in milliseconds, half of the honest client's pushes and pulls may take at most. It is far
// above what a busy machine needs.
const slow = 5000

// faults says what did not hold.
func (o *Outcome) faults() error {
	if o.Killed {
		return errors.New("the server was killed")
	}
	if o.Quiet.Failed > 0 || o.Quiet.Done == 0 {
		return fmt.Errorf("without an attack %d pushes and pulls failed and %d were done: %s", o.Quiet.Failed, o.Quiet.Done, o.Quiet.Why)
	}
	var errs []error
	if o.With > o.Limit {
		errs = append(errs, fmt.Errorf("with sockets %s MiB were used, of %s", mib(o.With), mib(o.Limit)))
	}
	if o.Attacked.Failed > 0 || o.Attacked.Done == 0 {
		errs = append(errs, fmt.Errorf("%d pushes and pulls failed and %d were done: %s",
			o.Attacked.Failed, o.Attacked.Done, o.Attacked.Why))
	}
	if o.Attacked.P50 > slow {
		errs = append(errs, fmt.Errorf("every other push or pull took more than %.1f s", o.Attacked.P50/1000))
	}
	if o.Goroutines[1] > o.Goroutines[0]+slack {
		errs = append(errs, fmt.Errorf("%d goroutines before, %d after", o.Goroutines[0], o.Goroutines[1]))
	}
	if o.Files[1] > o.Files[0]+slack {
		errs = append(errs, fmt.Errorf("%d open files before, %d after", o.Files[0], o.Files[1]))
	}
	return errors.Join(errs...)
}

// readReport reads one; a file that is not there is an empty report.
func readReport(path string) (Report, error) {
	var report Report
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return report, nil
	}
	if err != nil {
		return report, fmt.Errorf("read a report: %w", err)
	}
	if err := json.Unmarshal(content, &report); err != nil {
		return report, fmt.Errorf("read the report %s: %w", path, err)
	}
	return report, nil
}

// add puts an outcome in the place of an earlier one of the same attack.
func (r *Report) add(outcome Outcome) {
	at := slices.IndexFunc(r.Results, func(o Outcome) bool { return o.Attack == outcome.Attack && o.Side == outcome.Side })
	if at < 0 {
		r.Results = append(r.Results, outcome)
		return
	}
	r.Results[at] = outcome
}

// find returns the outcome of an attack, or nil.
func (r *Report) find(a attack) *Outcome {
	for i := range r.Results {
		if o := &r.Results[i]; o.Attack == a.name && o.Side == a.side {
			return o
		}
	}
	return nil
}

func (r *Report) write(path string) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write a report: %w", err)
	}
	return os.WriteFile(path, append(content, '\n'), 0o644)
}

// table writes two reports beside each other, in Markdown.
func table(attacks []attack, before, now Report) string {
	var out strings.Builder
	fmt.Fprintf(&out, "Before: commit %s; now: commit %s; %s.\n\n", before.Commit, now.Commit, now.Machine)
	out.WriteString("| attack | connections | before | honest | now | most memory, MiB | of it sockets, MiB | honest | again |" +
		" added p50, ms | added p99, ms | CPU | goroutines | files |\n")
	out.WriteString("|" + strings.Repeat("---|", 14) + "\n")
	for _, a := range attacks {
		earlier, later := before.find(a), now.find(a)
		fmt.Fprintf(&out, "| %s: %s | %d | %s | %s | %s |\n", a.side, a.name, a.connections, fate(earlier), success(earlier), row(later))
	}
	return out.String()
}

// row is the right half of a line.
func row(o *Outcome) string {
	if o == nil {
		return "not measured" + strings.Repeat(" |", 8)
	}
	return strings.Join([]string{
		fate(o), mib(max(o.Peak, o.With)), mib(o.Sockets), success(o), fmt.Sprint(o.Attacked.Again),
		fmt.Sprintf("%.0f", o.Attacked.P50-o.Quiet.P50), fmt.Sprintf("%.0f", o.Attacked.P99-o.Quiet.P99),
		fmt.Sprintf("%.0f %%", 100*o.CPU),
		fmt.Sprintf("%d → %d", o.Goroutines[0], o.Goroutines[1]), fmt.Sprintf("%d → %d", o.Files[0], o.Files[1]),
	}, " | ")
}

func fate(o *Outcome) string {
	switch {
	case o == nil:
		return "not measured"
	case o.Killed:
		return fmt.Sprintf("killed after %.0f s", o.Seconds)
	default:
		return fmt.Sprintf("held for %.0f s", o.Seconds)
	}
}

// success is the share of the honest client's pushes and pulls.
func success(o *Outcome) string {
	if o == nil {
		return ""
	}
	return fmt.Sprintf("%d of %d", o.Attacked.Done, o.Attacked.Done+o.Attacked.Failed)
}

func mib(bytes int64) string { return fmt.Sprintf("%.0f", float64(bytes)/(1<<20)) }
