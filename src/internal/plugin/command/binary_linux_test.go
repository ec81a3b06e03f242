// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

const mebibyte = 1 << 20

// TestBinary is about the built program: its memory (read from /proc, hence Linux), its signals, its rights.
func TestBinary(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "kubectl-lsp")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../../cmd/kubectl-lsp")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	t.Run("1 GiB with the connection cut twice", func(t *testing.T) { testCutTwice(t, binary) })
	t.Run("20,000 files", func(t *testing.T) { testManyFiles(t, binary) })
	t.Run("Ctrl-C and the push that continues", func(t *testing.T) { testInterrupt(t, binary) })
	t.Run("what libraries log", func(t *testing.T) { testLibraryLog(t, binary) })
	t.Run("unreadable file", func(t *testing.T) { testUnreadable(t, binary) })
}

// process is a run of the binary in a world.
type process struct {
	*exec.Cmd
	world   *world
	started chan struct{}
	out     bytes.Buffer
	err     said
	peak    atomic.Int64 // bytes of resident memory when the manifest arrived
}

// said is what a process says, and when it has said that it stops.
type said struct {
	stopping chan struct{}

	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const stopping = "stopping: "
	before := strings.Contains(s.text.String(), stopping)
	n, err := s.text.Write(p)
	if !before && strings.Contains(s.text.String(), stopping) {
		close(s.stopping)
	}
	return n, err
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// run starts the process and waits for its end. What was set up before is seen by the registry's goroutines,
// which no code of the test's starts: Log takes the registry's lock.
func (p *process) run() error {
	p.world.registry.Log()
	if err := p.Start(); err != nil {
		return err
	}
	close(p.started)
	return p.Wait()
}

// newProcess prepares a push of the world's tree, and measures its memory at the last moment that the
// registry sees.
func newProcess(w *world, binary string) *process {
	p := &process{
		Cmd:   exec.CommandContext(w.Context(), binary, "push", "--name", "web", "--local-path", w.tree),
		world: w, started: make(chan struct{}), err: said{stopping: make(chan struct{})},
	}
	p.Stdout, p.Stderr = &p.out, &p.err
	w.registry.Fail = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/dev-web") {
			<-p.started
			p.peak.Store(peakMemory(w.T, p.Process.Pid))
		}
		return false
	}
	return p
}

// peakMemory reads VmHWM; the exit status's figure would include the memory of the test that started the
// process.
func peakMemory(t *testing.T, pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Errorf("measure: %v", err)
		return 0
	}
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		t.Errorf("measure: no VmHWM in %s", status)
		return 0
	}
	kib, err := strconv.ParseInt(string(found[1]), 10, 64)
	if err != nil {
		t.Errorf("measure: %v", err)
	}
	return kib << 10
}

func (p *process) finish(t *testing.T, limit int64) {
	t.Helper()
	if err := p.run(); err != nil {
		t.Fatalf("%v\n%s", err, p.err.String())
	}
	peak := p.peak.Load()
	t.Logf("peak resident memory %.1f MiB; %s", float64(peak)/mebibyte, lastLine(p.err.String()))
	if peak == 0 || peak > limit {
		t.Errorf("peak resident memory %d bytes, want at most %d", peak, limit)
	}
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// noise writes bytes that do not compress.
func noise(t *testing.T, path string, size int64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.CopyN(f, rand.NewChaCha8([32]byte{1}), size)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func testCutTwice(t *testing.T, binary string) {
	w := newWorld(t)
	noise(t, filepath.Join(w.tree, "big"), 1<<30)
	w.registry.CutAfter = []int64{300 * mebibyte, 400 * mebibyte}
	p := newProcess(w, binary)
	p.finish(t, 64*mebibyte)
	if len(w.registry.CutAfter) != 0 || strings.Count(p.err.String(), "trying again") != 2 {
		t.Errorf("the connection was not cut twice:\n%s", p.err.String())
	}
	if got := w.registry.Received(); got < 1<<30 || got > 1<<30+mebibyte {
		t.Errorf("%d bytes arrived: more than the source is", got)
	}
	if n := strings.Count(strings.Join(w.registry.Log(), "\n"), "POST"); n != 2 {
		t.Errorf("%d uploads were started for two blobs", n)
	}
}

func testManyFiles(t *testing.T, binary string) {
	w := newWorld(t)
	content := make([]byte, 2048)
	source := rand.NewChaCha8([32]byte{2})
	for i := range 20000 {
		dir := filepath.Join(w.tree, fmt.Sprintf("d%d/e%d", i%20, i%200))
		if i < 200 {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := source.Read(content); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file-%d.txt", i)), content[:i%2048], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := newProcess(w, binary)
	p.finish(t, 150*mebibyte)
	if !strings.Contains(p.err.String(), "Packed 20001 files") {
		t.Errorf("not all files were packed:\n%s", p.err.String())
	}
}

func testInterrupt(t *testing.T, binary string) {
	w := newWorld(t)
	w.registry.NoResume = true // only an upload that was ended regularly can be continued there
	noise(t, filepath.Join(w.tree, "big"), 256*mebibyte)
	p := newProcess(w, binary)
	w.registry.OnByteAt = 16 * mebibyte
	w.registry.OnByte = func() {
		<-p.started
		if err := p.Process.Signal(os.Interrupt); err != nil {
			t.Errorf("interrupt: %v", err)
		}
		// Nothing is read until the signal has arrived, so the upload cannot end before.
		select {
		case <-p.err.stopping:
		case <-w.Context().Done():
		}
	}
	err := p.run()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != exitInterrupted || p.out.Len() > 0 {
		t.Fatalf("%v\n%s%s", err, p.out.String(), p.err.String())
	}
	again := "this continues the upload where it stopped:\n  kubectl lsp push --name web --local-path " + w.tree + "\n"
	if !strings.HasSuffix(p.err.String(), again) {
		t.Errorf("stderr %q, want %q at the end", p.err.String(), again)
	}
	part := w.registry.Received()
	if part < 16*mebibyte || part > 200*mebibyte {
		t.Errorf("%d bytes had arrived", part)
	}
	newProcess(w, binary).finish(t, 64*mebibyte)
	if got := w.registry.Received(); got < 256*mebibyte || got > 257*mebibyte {
		t.Errorf("%d bytes arrived altogether (%d before the interruption)", got, part)
	}
}

func testUnreadable(t *testing.T, binary string) {
	if os.Geteuid() != 0 {
		w := newWorld(t)
		w.write("secret", "x")
		if err := os.Chmod(filepath.Join(w.tree, "secret"), 0); err != nil {
			t.Fatal(err)
		}
		w.run("push", "--name", "web", "--local-path", w.tree).want(t, 1, "", "permission denied; make it readable or exclude it in .tanzuignore")
		return
	}
	// Root can read everything, so somebody else runs the program.
	w := newWorld(t)
	w.write("secret", "x")
	p := newProcess(w, binary)
	p.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	for path := w.tree; path != "/" && path != os.TempDir(); path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{binary, os.Getenv("KUBECONFIG")} {
		for dir := path; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	err := p.run()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != exitFailure || !strings.Contains(p.err.String(), "permission denied; make it readable or exclude it in .tanzuignore") || strings.Count(p.err.String(), "\n") != 1 {
		t.Errorf("%v\n%s", err, p.err.String())
	}
}
