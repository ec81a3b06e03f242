// SPDX-License-Identifier: Apache-2.0

package storage_test

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy/cache/storage"
)

// TestWhatIsAnothersIsLeftAlone: the directory may be the top of a volume, which has a folder that only root may
// read.
func TestWhatIsAnothersIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	old := time.Now().Add(-48 * time.Hour)
	files := map[string]bool{"lost+found/1.tmp": true, "lost+found/a/2.tmp": true, "content/sha256/00/3.tmp": false, "arriving-4.tmp": false}
	for name := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600), os.Chtimes(path, old, old)); err != nil {
			t.Fatal(err)
		}
	}
	closed := filepath.Join(dir, "lost+found")
	if err := os.Chmod(closed, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(closed, 0o700) })
	settings, err := storage.ParseURL("file://" + filepath.ToSlash(dir) + "/?size=1GiB")
	if err != nil {
		t.Fatal(err)
	}
	opened, err := storage.Open(t.Context(), settings, silent{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, stays := range files {
		if _, err := os.Stat(filepath.Join(dir, name)); errors.Is(err, fs.ErrNotExist) == stays {
			t.Errorf("%s: %v", name, err)
		}
	}
}
