// SPDX-License-Identifier: Apache-2.0

package operation_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

func containsQuery(text string) bool { return strings.Contains(text, "of-the-query") }

// TestSIGTERMDuringAnUpload: not ready at once, no new connection, the upload finishes, exit code 0.
func TestSIGTERMDuringAnUpload(t *testing.T) {
	t.Parallel()
	upstream := guarded(t)
	server := harness.Start(t, harness.Options{Upstream: upstream})
	blob := harness.NewBlob(100 << 10)
	held := harness.Hold(t, http.MethodPut, harness.WithDigest(t, server.StartUpload(t), blob.Digest))
	held.Send(t, blob.Content[:30<<10])
	server.AwaitMetric(t, 1, "lsp_uploads_in_flight", `door="source"`)

	server.Signal(t, syscall.SIGTERM)
	server.AwaitNotReady(t)
	harness.Eventually(t, "the side to close", func(ctx context.Context) error {
		if connection, err := new(net.Dialer).DialContext(ctx, "tcp", server.Host); err == nil {
			return errors.Join(errors.New("still takes connections"), connection.Close())
		}
		return nil
	})
	held.Send(t, blob.Content[30<<10:])
	held.Finish(t).Want(t, http.StatusCreated)
	if code := server.Wait(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	upstream.AssertBlob(t, blob)
}

// TestShutdownTimeout: an upload that never ends does not keep the process.
func TestShutdownTimeout(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Options{Upstream: guarded(t), Flags: []string{"--shutdown-timeout=1s"}})
	held := harness.Hold(t, http.MethodPatch, server.StartUpload(t))
	held.Send(t, []byte("the beginning"))
	server.AwaitMetric(t, 1, "lsp_uploads_in_flight", `door="source"`)
	server.Signal(t, syscall.SIGTERM)
	server.Wait(t)
	if answer, err := held.End(); err == nil && answer.Status < 400 {
		t.Errorf("the cut upload got %d", answer.Status)
	}
}

// TestIdleShutdown: without uploads the process ends at once, with exit code 0, on either signal.
func TestIdleShutdown(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			server := harness.Start(t, harness.Options{Upstream: guarded(t)})
			server.Signal(t, signal)
			if code := server.Wait(t); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}
