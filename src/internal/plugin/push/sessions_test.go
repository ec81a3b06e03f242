// SPDX-License-Identifier: Apache-2.0

package push_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/push"
)

// TestASessionOfABlobThatIsThere is forgotten: somebody else has pushed the blob, or the answer to its last request
// was lost.
func TestASessionOfABlobThatIsThere(t *testing.T) {
	b := newBench(t, nil)
	own, dir := b.opts.Sessions, filepath.Join(t.TempDir(), "uploads")
	sessions, err := push.OpenSessions(dir)
	if err != nil {
		t.Fatal(err)
	}
	b.opts.Sessions = sessions
	img := image(t, 1)
	b.interrupt(t, img)
	kept, err := os.ReadDir(dir)
	if err != nil || len(kept) == 0 {
		t.Fatalf("sessions %v, %v", kept, err)
	}
	b.opts.Sessions = own
	b.push(t, img)
	b.opts.Sessions, b.opts.Tag = sessions, "dev-other"
	b.push(t, img)
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
