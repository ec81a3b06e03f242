// SPDX-License-Identifier: Apache-2.0

package filewatch_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/filewatch"
)

// start watches path and returns a function that waits for the next call, and one that ends the watch.
func start(t *testing.T, path string) (next func() filewatch.File, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	calls, ended := make(chan filewatch.File), make(chan error, 1)
	go func() {
		ended <- filewatch.Watch(ctx, []string{path}, func(files map[string]filewatch.File) {
			select {
			case calls <- files[path]:
			case <-ctx.Done():
			}
		})
	}()
	next = func() filewatch.File {
		t.Helper()
		select {
		case file := <-calls:
			return file
		case err := <-ended:
			t.Fatalf("the watch ended: %v", err)
			return filewatch.File{}
		}
	}
	stop = func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the watch ended with %v", err)
		}
	}
	return next, stop
}

func expect(t *testing.T, next func() filewatch.File, want string) {
	t.Helper()
	for {
		switch file := next(); {
		case string(file.Data) == want && (file.Err == nil) == (want != ""):
			return
		case file.Err == nil || !errors.Is(file.Err, fs.ErrNotExist):
			t.Fatalf("got %q, %v, want %q", file.Data, file.Err, want)
		}
		// A slow machine may see the moment without the file.
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, os.Rename(path+".new", path))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWatchFollowsAFile(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "values.yml")
	write(t, path, "1")
	next, stop := start(t, path)
	defer stop()
	expect(t, next, "1")

	write(t, path, "2") // an editor's rename
	expect(t, next, "2")

	must(t, os.Chtimes(path, time.Time{}, time.Now())) // a touch, which the next call must not come from
	write(t, filepath.Join(dir, "other"), "neighbour")
	write(t, path, "3")
	expect(t, next, "3")

	must(t, os.Remove(path))
	if file := next(); !errors.Is(file.Err, fs.ErrNotExist) || file.Data != nil {
		t.Fatalf("a file that is gone: %q, %v", file.Data, file.Err)
	}
	write(t, path, "4")
	expect(t, next, "4")

	must(t, os.RemoveAll(dir))
	expect(t, next, "")
	write(t, path, "5")
	expect(t, next, "5")
}

func TestWatchFollowsAMountedSecret(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	version := func(name, content string) {
		write(t, filepath.Join(dir, name, "values.yml"), content)
		must(t, os.Symlink(name, filepath.Join(dir, "..data_tmp")))
		must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	}
	version("..1", "1")
	path := filepath.Join(dir, "values.yml")
	must(t, os.Symlink("..data/values.yml", path))
	next, stop := start(t, path)
	defer stop()
	expect(t, next, "1")
	for _, v := range []string{"2", "3"} {
		version(".."+v, v)
		must(t, os.RemoveAll(filepath.Join(dir, "..1")))
		expect(t, next, v)
	}
}

func TestWatchFollowsLinksElsewhere(t *testing.T) {
	defer goleak.VerifyNone(t)
	target := filepath.Join(t.TempDir(), "real.yml")
	path := filepath.Join(t.TempDir(), "values.yml")
	write(t, target, "1")
	must(t, os.Symlink(target, path))
	next, stop := start(t, path)
	defer stop()
	expect(t, next, "1")
	write(t, target, "2")
	expect(t, next, "2")
}

func TestWatchFollowsALinkedDirectory(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	for _, v := range []string{"1", "2"} {
		write(t, filepath.Join(dir, "releases", v, "values.yml"), v)
	}
	current := filepath.Join(dir, "current")
	must(t, os.Symlink("releases/1", current))
	next, stop := start(t, filepath.Join(current, "values.yml"))
	defer stop()
	expect(t, next, "1")
	must(t, os.Symlink(filepath.Join(dir, "releases", "2"), current+".new"))
	must(t, os.Rename(current+".new", current))
	expect(t, next, "2")
	write(t, filepath.Join(dir, "releases", "2", "values.yml"), "3")
	expect(t, next, "3")
}

func TestWatchEndsWithALoopOfLinks(t *testing.T) {
	defer goleak.VerifyNone(t)
	path := filepath.Join(t.TempDir(), "loop")
	must(t, os.Symlink("loop", path))
	next, stop := start(t, path)
	defer stop()
	if file := next(); file.Err == nil {
		t.Errorf("read %q", file.Data)
	}
	must(t, os.Remove(path))
	expect(t, next, "")
	write(t, path, "1")
	expect(t, next, "1")
}

func TestWatchBeginsBeforeTheDirectory(t *testing.T) {
	defer goleak.VerifyNone(t)
	path := filepath.Join(t.TempDir(), "a", "b", "values.yml")
	next, stop := start(t, path)
	defer stop()
	expect(t, next, "")
	write(t, path, "1")
	expect(t, next, "1")
}

func TestReadRefusesLargeFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "large")
	must(t, os.WriteFile(path, make([]byte, filewatch.MaxSize), 0o600))
	if _, err := filewatch.Read(path); err != nil {
		t.Error(err)
	}
	must(t, os.WriteFile(path, make([]byte, filewatch.MaxSize+1), 0o600))
	_, err := filewatch.Read(path)
	if want := "read " + path + ": it is larger than 1 MiB: is it the right file?"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
