// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Process is a child of the test. Its end is waited for before the test ends.
type Process struct {
	Stdout, Stderr *Log

	name string
	cmd  *exec.Cmd
	done chan struct{}
}

// StartProcess starts a program and captures its output. At the end of the test it gets SIGTERM and, when it
// does not end within [Patience], SIGKILL and a failure.
func StartProcess(t testing.TB, name string, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{Stdout: new(Log), Stderr: new(Log), name: name, cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.Stdout, p.Stderr
	endWithParent(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		defer close(p.done)
		// The exit code is read from ProcessState.
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		p.Stop(t)
		if t.Failed() {
			t.Logf("%s wrote last:\n%s%s", name, p.Stdout.Tail(), p.Stderr.Tail())
		}
	})
	return p
}

// AwaitLog waits until the text stands on standard error, and returns how many times. What a process writes
// goes through a pipe: an answer over a socket may arrive ahead of the line about it.
func (p *Process) AwaitLog(t testing.TB, text string, atLeast int) int {
	t.Helper()
	var times int
	p.await(t, fmt.Sprintf("%q in its log", text), func(context.Context) error {
		if times = strings.Count(p.Stderr.String(), text); times < atLeast {
			return fmt.Errorf("it stands there %d times, want %d", times, atLeast)
		}
		return nil
	})
	return times
}

// Signal sends a signal; a process that has ended already is no error.
func (p *Process) Signal(t testing.TB, signal os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal %s: %v", p.name, err)
	}
}

// Stop asks the process to end and waits for that.
func (p *Process) Stop(t testing.TB) {
	t.Helper()
	p.Signal(t, syscall.SIGTERM)
	if !p.ended(Patience) {
		t.Errorf("%s did not end within %s of SIGTERM", p.name, Patience)
		p.Kill(t)
	}
}

// Kill ends the process at once and waits for its end.
func (p *Process) Kill(t testing.TB) {
	t.Helper()
	p.Signal(t, syscall.SIGKILL)
	if !p.ended(Patience) {
		t.Errorf("%s did not end within %s of SIGKILL", p.name, Patience)
	}
}

// Wait waits up to [Patience] for the end and returns the exit code.
func (p *Process) Wait(t testing.TB) int {
	t.Helper()
	if !p.ended(Patience) {
		t.Fatalf("%s is still running after %s", p.name, Patience)
	}
	return p.cmd.ProcessState.ExitCode()
}

// Running says whether the process has not ended yet.
func (p *Process) Running() bool { return !p.ended(0) }

func (p *Process) ended(within time.Duration) bool {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-p.done:
		return true
	case <-timer.C:
		select {
		case <-p.done:
			return true
		default:
			return false
		}
	}
}

// errEnded says that a process ended while something was awaited from it.
var errEnded = errors.New("the process has ended")

// await polls a condition until the process ends; its end is reported with its output.
func (p *Process) await(t testing.TB, what string, condition func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), Patience, errors.New("out of patience"))
	defer cancel()
	go func() {
		select {
		case <-p.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := poll(ctx, condition); err != nil {
		if !p.Running() {
			err = fmt.Errorf("%w: %w", errEnded, err)
		}
		t.Fatalf("%s: %s: %v\n%s%s", p.name, what, err, p.Stdout.Tail(), p.Stderr.Tail())
	}
}
