// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// TestADiskThatIsFullAtTheLastPiece: what is not on the disk is not whole, although its digest is known.
func TestADiskThatIsFullAtTheLastPiece(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	full, err := os.Open(path) // takes nothing
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	const content = "all of it"
	d := &download{
		View:   &View{cache: &Cache{cfg: Config{Observer: &one{}, Log: slog.New(slog.DiscardHandler)}}},
		digest: digest.FromString(content), size: int64(len(content)), spool: full, moved: make(chan struct{}),
	}
	if err := d.receive(t.Context(), io.NopCloser(strings.NewReader(content))); !errors.Is(err, errSpool) {
		t.Errorf("error %v, want %v", err, errSpool)
	}
}
