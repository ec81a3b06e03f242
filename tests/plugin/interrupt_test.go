// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"context"
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
	p.interruptAndContinue(t)
}

// The registry inside of the server has no status of an upload, so the plugin goes by what it was told last.
func TestInterruptedPushContinuesInTheEmbeddedRegistry(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	p := &place{server: harness.Start(t, harness.Options{Flags: []string{"--embedded-registry"}}), tree: t.TempDir()}
	p.env = append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+home)
	p.interruptAndContinue(t, "--namespace", "dev", "--server", p.server.URL(""))
}

func (p *place) interruptAndContinue(t *testing.T, extra ...string) {
	t.Helper()
	const size = 256 << 20
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
	harness.Eventually(t, "a tenth of the source to be on its way", func(context.Context) error {
		if !strings.Contains(first.Stderr.String(), "uploaded ") {
			return errors.New("no progress yet")
		}
		return nil
	})
	first.Signal(t, os.Interrupt)
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
