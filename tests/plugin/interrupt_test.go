// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// some registries lose an upload whose last request broke off. The plugin ends it regularly, so that it
// continues all the same.
func TestInterruptedPushContinues(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	line := newGate(t, p.server.Host, passes)
	p.env = append(p.env, "KUBECONFIG="+harness.Kubeconfig(t, t.TempDir(), harness.NewAPIServer(t, line.host).URL))
	p.interruptAndContinue(t, line)
}

// The registry inside of the server has no status of an upload, so the plugin goes by what it was told last.
func TestInterruptedPushContinuesInTheEmbeddedRegistry(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	p := &place{server: harness.Start(t, harness.Options{Flags: []string{"--embedded-registry"}}), tree: t.TempDir()}
	p.env = append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+home)
	line := newGate(t, p.server.Host, passes)
	p.interruptAndContinue(t, line, "--namespace", "dev", "--server", "http://"+line.host)
}

const (
	// size of the source that is pushed, and how much of it passes ahead of the interruption: more than a tenth,
	// which is when the push reports first. What all sockets on the way hold is less than the rest.
	size   = 64 << 20
	passes = size / 8
)

func (p *place) interruptAndContinue(t *testing.T, line *gate, extra ...string) {
	t.Helper()
	args := append([]string{"push", "--name", "web", "--local-path", p.tree}, extra...)
	f, err := os.Create(filepath.Join(p.tree, "noise"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.CopyN(f, rand.NewChaCha8([32]byte{3}), size)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	first := harness.StartProcess(t, "kubectl lsp push", p.command(t.Context(), plugin(), args...))
	first.AwaitLog(t, "uploaded ", 1) // a tenth of the source is on its way
	first.Signal(t, os.Interrupt)
	first.AwaitLog(t, "stopping: ", 1)
	line.open()
	if code := first.Wait(t); code != 130 || !strings.Contains(first.Stderr.String(), "this continues the upload where it stopped:\n  kubectl lsp push --name web") {
		t.Fatalf("exit code %d:\n%s%s", code, first.Stdout, first.Stderr)
	}
	part := p.server.Metric(t, "lsp_request_bytes_total", `door="source"`, `direction="in"`)
	out, _ := p.run(t, plugin(), args...)
	if p.upstream != nil {
		p.upstream.AssertArrived(t, "dev-web", digestOf(t, strings.TrimSpace(out)))
	}
	all := p.server.Metric(t, "lsp_request_bytes_total", `door="source"`, `direction="in"`)
	if part < size/20 || all > size*1.05 {
		t.Errorf("%.0f bytes before the interruption, %.0f altogether: the source has %d", part, all, size)
	}
}
