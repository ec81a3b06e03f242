// SPDX-License-Identifier: Apache-2.0

package filewatch_test

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/filewatch"
)

// startDir watches the .yml files of a directory. next waits for a call and returns it as "name=content", or
// "name: error".
func startDir(t *testing.T, dir string) (next func() []string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	calls, ended := make(chan map[string]filewatch.File), make(chan error, 1)
	go func() {
		pick := func(name string) bool { return strings.HasSuffix(name, ".yml") }
		ended <- filewatch.Dir(ctx, dir, pick, func(files map[string]filewatch.File) {
			select {
			case calls <- files:
			case <-ctx.Done():
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the watch ended with %v", err)
		}
	})
	return func() []string {
		t.Helper()
		select {
		case files := <-calls:
			var texts []string
			for _, path := range slices.Sorted(maps.Keys(files)) {
				switch file := files[path]; {
				case errors.Is(file.Err, fs.ErrNotExist):
					texts = append(texts, filepath.Base(path)+": gone")
				case file.Err != nil:
					texts = append(texts, filepath.Base(path)+": "+strings.TrimPrefix(file.Err.Error(), "read "+path+": "))
				case file.Modified.IsZero():
					t.Errorf("%s was never written", path)
				default:
					texts = append(texts, filepath.Base(path)+"="+string(file.Data))
				}
			}
			return texts
		case err := <-ended:
			ended <- nil
			t.Fatalf("the watch ended: %v", err)
			return nil
		}
	}
}

func expectDir(t *testing.T, next func() []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, next()); diff != "" {
		t.Errorf("told of (-want +got):\n%s", diff)
	}
}

func TestDirTellsOfWhatIsDifferent(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write(t, path("a.yml"), "1")
	write(t, path("b.yml"), "1")
	write(t, path("c.txt"), "1")
	must(t, os.Mkdir(path("d.yml"), 0o700))
	t.Run("", func(t *testing.T) {
		next := startDir(t, dir)
		expectDir(t, next, "a.yml=1", "b.yml=1")
		must(t, os.Chtimes(path("a.yml"), time.Time{}, time.Now())) // nothing to tell
		write(t, path("c.txt"), "2")
		write(t, path("b.yml"), "2")
		expectDir(t, next, "b.yml=2")
		write(t, path("e.yml"), "1")
		expectDir(t, next, "e.yml=1")
		must(t, os.Rename(path("e.yml"), path("f.yml")))
		expectDir(t, next, "e.yml: gone", "f.yml=1")
		must(t, os.Remove(path("f.yml")))
		expectDir(t, next, "f.yml: gone")
		must(t, os.WriteFile(path("a.yml"), make([]byte, filewatch.MaxSize+1), 0o600))
		expectDir(t, next, "a.yml: it is larger than 1 MiB: is it the right file?")
		must(t, syscall.Mkfifo(path("g.yml"), 0o600))
		expectDir(t, next, "g.yml: it is not a file: remove it, or give it another name")
	})
}

func TestDirBeginsEmpty(t *testing.T) {
	defer goleak.VerifyNone(t)
	t.Run("", func(t *testing.T) {
		dir := t.TempDir()
		next := startDir(t, dir)
		expectDir(t, next)
		write(t, filepath.Join(dir, "a.yml"), "1")
		expectDir(t, next, "a.yml=1")
	})
}

// All files of a mounted ConfigMap change at once, by one link.
func TestDirFollowsAMountedConfigMap(t *testing.T) {
	defer goleak.VerifyNone(t)
	t.Run("", func(t *testing.T) {
		dir := t.TempDir()
		version := func(name, a, b string) {
			write(t, filepath.Join(dir, name, "a.yml"), a)
			write(t, filepath.Join(dir, name, "b.yml"), b)
			must(t, os.Symlink(name, filepath.Join(dir, "..data_tmp")))
			must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
		}
		version("..1", "1", "1")
		for _, name := range []string{"a.yml", "b.yml"} {
			must(t, os.Symlink("..data/"+name, filepath.Join(dir, name)))
		}
		next := startDir(t, dir)
		expectDir(t, next, "a.yml=1", "b.yml=1")
		version("..2", "2", "1")
		expectDir(t, next, "a.yml=2")
	})
}

func TestDirFollowsALinkElsewhere(t *testing.T) {
	defer goleak.VerifyNone(t)
	t.Run("", func(t *testing.T) {
		dir, target := t.TempDir(), filepath.Join(t.TempDir(), "real")
		write(t, target, "1")
		must(t, os.Symlink(target, filepath.Join(dir, "a.yml")))
		next := startDir(t, dir)
		expectDir(t, next, "a.yml=1")
		write(t, target, "2")
		expectDir(t, next, "a.yml=2")
	})
}

// A directory that is away is no reason to forget what was in it.
func TestDirThatIsAway(t *testing.T) {
	defer goleak.VerifyNone(t)
	t.Run("", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "objects")
		write(t, filepath.Join(dir, "a.yml"), "1")
		write(t, filepath.Join(dir, "b.yml"), "1")
		next := startDir(t, dir)
		expectDir(t, next, "a.yml=1", "b.yml=1")
		must(t, os.Rename(dir, dir+".away"))
		expectDir(t, next, "objects: gone")
		must(t, os.Rename(dir+".away", dir))
		expectDir(t, next) // it is there again, as it was
		must(t, os.Rename(dir, dir+".away"))
		expectDir(t, next, "objects: gone")
		must(t, os.Remove(filepath.Join(dir+".away", "b.yml")))
		must(t, os.Rename(dir+".away", dir))
		expectDir(t, next, "b.yml: gone")
	})
}
