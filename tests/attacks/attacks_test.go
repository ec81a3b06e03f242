// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

var (
	duration = flag.Duration("duration", 0, "how long each attack `lasts`; 0: the tests are skipped")
	results  = flag.String("results", "", "JSON `file` that keeps the outcomes")
	commit   = flag.String("commit", "", "`commit` of the server, for that file")
	update   = flag.Bool("update", false, "write the table of results/ into README.md")
)

func TestMain(m *testing.M) {
	if told := os.Getenv(orderVariable); told != "" {
		if err := obey(context.Background(), told); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	os.Exit(harness.Main(m))
}

// TestAttacks holds the server to a pod's limits, and lets nobody take it away from an honest client.
func TestAttacks(t *testing.T) {
	if *duration == 0 {
		t.Skip("attacks need a server without the race detector, and time: make attack-test")
	}
	if reason := missing(); reason != "" {
		t.Skipf("no process can be held to a pod's limits here: %s", reason)
	}
	report, err := readReport(*results)
	if err != nil {
		t.Fatal(err)
	}
	report.Machine = fmt.Sprintf("%d processors, %s", runtime.NumCPU(), runtime.Version())
	if *commit != "" {
		report.Commit = *commit
	}
	var mu sync.Mutex
	carryOut := func(t *testing.T, attack attack) error {
		outcome := attack.carryOut(t, *duration)
		mu.Lock()
		defer mu.Unlock()
		if report.add(outcome); *results != "" {
			if err := report.write(*results); err != nil {
				t.Error(err)
			}
		}
		return outcome.faults()
	}
	// What does not hold beside other attacks, on a machine that has too little for all of them, has to hold alone.
	var again []attack
	for _, side := range []side{images, source} {
		t.Run(string(side), func(t *testing.T) {
			for _, attack := range every() {
				if attack.side != side {
					continue
				}
				t.Run(attack.name, func(t *testing.T) {
					t.Parallel()
					if err := carryOut(t, attack); err != nil {
						t.Logf("it does not hold: %v", err)
						if attack.open != "" { // which is known
							return
						}
						mu.Lock()
						defer mu.Unlock()
						again = append(again, attack)
					}
				})
			}
		})
	}
	for _, attack := range again {
		t.Run("alone/"+string(attack.side)+"/"+attack.name, func(t *testing.T) {
			if err := carryOut(t, attack); err != nil {
				t.Error(err)
			}
		})
	}
}

// carryOut measures the honest client alone, and then beside the attack.
func (a attack) carryOut(t *testing.T, duration time.Duration) Outcome {
	s := newScene(t, a.side, a.tls)
	o := Outcome{
		Attack: a.name, Side: a.side, Taken: time.Now().UTC().Truncate(time.Second),
		Connections: a.connections, Limit: s.limits().memory, Quiet: &Honest{}, Attacked: &Honest{},
	}
	const most = time.Minute // without an attack
	within(t, min(duration/3, most), func(ctx context.Context) { o.Quiet.run(ctx, s) })
	if o.Quiet.Failed > 0 || o.Quiet.Done == 0 {
		return o // which is a fault
	}
	before := s.rest(t)
	cpu, err := s.cpu()
	check(t, err)
	begin := time.Now()
	within(t, duration, func(ctx context.Context) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stop := a.start(t, s.target)
		var group sync.WaitGroup
		group.Go(func() { o.Attacked.run(ctx, s) })
		o.With, o.Sockets = s.watch(ctx)
		cancel() // the server may have ended
		o.Seconds = time.Since(begin).Seconds()
		if used, err := s.cpu(); err == nil { // unless it was killed
			o.CPU = (used - cpu).Seconds() / o.Seconds
		}
		stop()
		group.Wait()
	})
	kills, err := s.cgroup.kills()
	check(t, err)
	o.Peak, err = s.cgroup.peak()
	check(t, err)
	o.Killed = kills > 0 || !s.server.Running()
	after := rest{}
	if !o.Killed {
		after = s.settle(t, before)
	}
	o.Goroutines, o.Files = [2]int{before.goroutines, after.goroutines}, [2]int{before.files, after.files}
	t.Logf("%s; honest: %s", row(&o), o.Attacked.Why)
	return o
}

// watch samples the memory until the context ends, or the server does. It returns the most memory with that of
// sockets, and the most of sockets.
func (s *scene) watch(ctx context.Context) (with, sockets int64) {
	const often = 20 * time.Millisecond
	ticker := time.NewTicker(often)
	defer ticker.Stop()
	for s.server.Running() {
		// What cannot be read is missing in the report; killing and starving are seen without it.
		if use, err := s.cgroup.now(); err == nil {
			with, sockets = max(with, use.all), max(sockets, use.sockets)
		}
		select {
		case <-ctx.Done():
			return with, sockets
		case <-ticker.C:
		}
	}
	return with, sockets
}

func within(t *testing.T, duration time.Duration, do func(ctx context.Context)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	do(ctx)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestLimits compares the limits here with the package's defaults.
func TestLimits(t *testing.T) {
	root, err := harness.Root()
	check(t, err)
	schema, err := os.ReadFile(filepath.Join(root, "config", "values-schema.yml"))
	check(t, err)
	var got []string
	pods := regexp.MustCompile(`(?s)\n    cpu: (\w+)\n.*?\n    memory: (\w+)\n`)
	for _, pod := range pods.FindAllStringSubmatch(string(schema), -1) {
		got = append(got, pod[1]+" "+pod[2])
	}
	var want []string
	for _, limits := range []limits{sourceLimits(), imagesLimits()} {
		want = append(want, fmt.Sprintf("%dm %dMi", limits.milliCPU, limits.memory>>20))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the package's limits are others:\n%s", diff)
	}
}

// TestTable keeps the table in README.md that of the results.
func TestTable(t *testing.T) {
	before, err := readReport(filepath.Join("results", "before.json"))
	check(t, err)
	now, err := readReport(filepath.Join("results", "report.json"))
	check(t, err)
	const file, begin, end = "README.md", "<!-- attacks -->\n", "<!-- /attacks -->"
	content, err := os.ReadFile(file)
	check(t, err)
	head, rest, begun := strings.Cut(string(content), begin)
	got, tail, ended := strings.Cut(rest, end)
	if !begun || !ended {
		t.Fatalf("%s has no %s … %s", file, begin, end)
	}
	want := "\n" + table(every(), before, now) + "\n"
	if *update {
		check(t, os.WriteFile(file, []byte(head+begin+want+end+tail), 0o644))
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the table in %s is not that of results/: go test ./attacks -run TestTable -update writes it:\n%s", file, diff)
	}
}

// TestHold: a command in a cgroup is held to it.
func TestHold(t *testing.T) {
	if reason := missing(); reason != "" {
		t.Skipf("no process can be held to a pod's limits here: %s", reason)
	}
	group := newCgroup(t, sourceLimits())
	cmd := exec.Command("dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1")
	group.hold(cmd)
	if err := cmd.Run(); err == nil {
		t.Error("a program that needs 200 MB lives in a pod of 100 MiB")
	}
	if kills, err := group.kills(); err != nil || kills == 0 {
		t.Errorf("%d kills, want at least one (%v)", kills, err)
	}
}
