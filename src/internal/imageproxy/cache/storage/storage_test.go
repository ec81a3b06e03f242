// SPDX-License-Identifier: Apache-2.0

package storage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy/cache"
	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy/cache/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counted counts what a storage tells.
type counted struct{ evicted, failed atomic.Int64 }

func (c *counted) CacheEvicted() { c.evicted.Add(1) }
func (c *counted) CacheFailed()  { c.failed.Add(1) }

// inDirectory is the URL of a storage in a directory.
func inDirectory(dir, query string) string { return "file://" + filepath.ToSlash(dir) + "?" + query }

// open opens a storage until the test ends.
func open(t *testing.T, url string, c *counted) *storage.Storage {
	t.Helper()
	settings, err := storage.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	s, err := storage.Open(t.Context(), settings, c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // some tests do so before
	return s
}

// key is that of a blob, by number.
func key(i int) string { return fmt.Sprintf("content/sha256/%02x/%064x", i%256, i) }

// of is the content of a blob, by number.
func of(i, size int) []byte {
	content := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(i), byte(i >> 8)}).Read(content)
	return content
}

func put(t *testing.T, s cache.Storage, i, size int) {
	t.Helper()
	if err := s.Put(t.Context(), key(i), section(of(i, size))); err != nil {
		t.Errorf("put %d: %v", i, err)
	}
}

func section(content []byte) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(content), 0, int64(len(content)))
}

// has reads an object, which counts as a use.
func has(t *testing.T, s cache.Storage, i, size int) bool {
	t.Helper()
	object, err := s.Open(t.Context(), key(i))
	if errors.Is(err, cache.ErrNotKept) {
		return false
	}
	if err != nil {
		t.Errorf("open %d: %v", i, err)
		return false
	}
	defer object.Close()
	content, err := io.ReadAll(object)
	if err != nil || object.Size() != int64(size) || !bytes.Equal(content, of(i, size)) {
		t.Errorf("object %d has %d bytes, %v", i, len(content), err)
	}
	return true
}

// files are those of a directory, and how many bytes they have.
func files(t *testing.T, dir string) (names []string, size int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || entry.IsDir() || filepath.Base(path) == "lock" {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		names, size = append(names, path), size+info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names, size
}

// TestADirectoryStaysBelowItsSize, whatever is put there, read and removed at the same time, and again after a
// restart.
func TestADirectoryStaysBelowItsSize(t *testing.T) {
	const limit = 1 << 20
	dir := t.TempDir()
	for range 3 {
		var told counted
		s := open(t, inDirectory(dir, "size=1MiB"), &told)
		var users sync.WaitGroup
		for user := range 4 {
			users.Go(func() {
				random := rand.New(rand.NewPCG(uint64(user), 7))
				for range 150 {
					i := random.IntN(40)
					size := 1 + i*i*100 // up to 152,101 bytes
					switch random.IntN(8) {
					case 0:
						s.Remove(t.Context(), key(i))
					case 1, 2, 3:
						has(t, s, i, size)
					default:
						put(t, s, i, size)
					}
				}
			})
		}
		users.Wait()
		names, size := files(t, dir)
		taken, known := s.Size()
		if !known || taken > limit || size > taken {
			t.Errorf("%d files with %d bytes; it says %d, %v", len(names), size, taken, known)
		}
		if told.evicted.Load() == 0 || told.failed.Load() > 0 {
			t.Errorf("%d evicted, %d failures", told.evicted.Load(), told.failed.Load())
		}
		if left := slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".tmp") }); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWhatWasUsedLongestAgoLeavesFirst: the same is there as in a list that is kept beside, also across restarts.
func TestWhatWasUsedLongestAgoLeavesFirst(t *testing.T) {
	const size, fit = 100 << 10, 10 // 1 MiB has room for ten
	random := rand.New(rand.NewPCG(1, 2))
	dir := t.TempDir()
	var order []int // what was used last is last
	touch := func(i int) {
		order = append(slices.DeleteFunc(order, func(other int) bool { return other == i }), i)
		order = order[max(0, len(order)-fit):]
	}
	for range 4 {
		s := open(t, inDirectory(dir, "size=1MiB"), &counted{})
		for range 40 {
			i := random.IntN(20)
			there := has(t, s, i, size)
			if want := slices.Contains(order, i); there != want {
				t.Fatalf("object %d is there: %v, want %v; by their use: %v", i, there, want, order)
			}
			if !there {
				put(t, s, i, size)
			}
			touch(i)
		}
	}
}

// interrupted does something when it is first read.
type interrupted struct {
	io.ReaderAt
	once func()
}

func (i *interrupted) ReadAt(p []byte, at int64) (int, error) {
	if i.once != nil {
		i.once()
		i.once = nil
	}
	return i.ReaderAt.ReadAt(p, at)
}

// TestALateWriterTakesItsRoomAgain: an object that had to leave while it was written counts once it is there, and
// so does one that somebody looked for meanwhile.
func TestALateWriterTakesItsRoomAgain(t *testing.T) {
	dir := t.TempDir()
	s := open(t, inDirectory(dir, "size=1MiB"), &counted{})
	const size = 600 << 10
	late := &interrupted{ReaderAt: bytes.NewReader(of(1, size)), once: func() { put(t, s, 2, size) }}
	if err := s.Put(t.Context(), key(1), io.NewSectionReader(late, 0, size)); err != nil {
		t.Error(err)
	}
	if names, taken := files(t, dir); taken > 1<<20 || len(names) != 1 {
		t.Errorf("%d bytes in %v", taken, names)
	}
	if !has(t, s, 1, size) {
		t.Error("it is not there")
	}
	looked := &interrupted{ReaderAt: bytes.NewReader(of(3, 1000)), once: func() { has(t, s, 3, 1000) }}
	if err := s.Put(t.Context(), key(3), io.NewSectionReader(looked, 0, 1000)); err != nil || !has(t, s, 3, 1000) {
		t.Errorf("what was looked for while it was written is not there: %v", err)
	}
	if taken, _ := s.Size(); taken != size+4096 {
		t.Errorf("%d bytes are taken", taken)
	}
}

// TestWhatDoesNotFitIsNotKept, and drives nothing else out.
func TestWhatDoesNotFitIsNotKept(t *testing.T) {
	for _, url := range []string{inDirectory(t.TempDir(), "size=1050000"), "mem://?size=1MiB"} {
		s := open(t, url, &counted{})
		put(t, s, 1, 1000)
		for i, size := range []int{1<<20 + 1, 1_049_000, 2 << 20} {
			put(t, s, 2+i, size)
			if has(t, s, 2+i, size) && size > 1_048_576 {
				t.Errorf("%s: %d bytes are kept", url, size)
			}
		}
		if !has(t, s, 1, 1000) {
			t.Errorf("%s: what was there had to leave", url)
		}
	}
}

// TestASmallerSizeIsKeptToAtOnce, and other files of the directory are nobody's business.
func TestASmallerSizeIsKeptToAtOnce(t *testing.T) {
	dir := t.TempDir()
	strange := filepath.Join(dir, "lost+found.txt")
	if err := os.WriteFile(strange, of(0, 3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, inDirectory(dir, "size=10MiB"), &counted{})
	for i := range 20 {
		put(t, s, i, 400<<10)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, inDirectory(dir, "size=1MiB"), &counted{})
	for i := range 20 {
		if there := has(t, s, i, 400<<10); there != (i >= 18) {
			t.Errorf("object %d is there: %v", i, there)
		}
	}
	if _, err := os.Stat(strange); err != nil {
		t.Error(err)
	}
}

// TestHalfWrittenFilesGo: at once when nobody else uses the directory, or after an hour.
func TestHalfWrittenFilesGo(t *testing.T) {
	dir := t.TempDir()
	left := func(name string, age time.Duration) {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("half"), 0o600),
			os.Chtimes(path, time.Time{}, time.Now().Add(-age))); err != nil {
			t.Fatal(err)
		}
	}
	half := func() int { names, _ := files(t, dir); return len(names) }
	left("arriving-1.tmp", 0)
	left(key(1)+".18af.tmp", 0)
	first := open(t, inDirectory(dir, "size=1MiB"), &counted{})
	if n := half(); n != 0 {
		t.Errorf("%d half-written files are left", n)
	}
	left(key(2)+".18af.tmp", time.Minute)
	left(key(3)+".18af.tmp", 2*time.Hour)
	open(t, inDirectory(dir, "size=1MiB"), &counted{})
	if n := half(); n != 1 {
		t.Errorf("beside another process, %d half-written files are left", n)
	}
	if size, _ := first.Size(); size != 0 {
		t.Errorf("%d bytes are taken", size)
	}
}

// TestTwoProcessesOnOneDirectory see what the other has put there or removed.
func TestTwoProcessesOnOneDirectory(t *testing.T) {
	dir := t.TempDir()
	one, two := open(t, inDirectory(dir, "size=1MiB"), &counted{}), open(t, inDirectory(dir, "size=1MiB"), &counted{})
	put(t, one, 1, 1000)
	if !has(t, two, 1, 1000) {
		t.Error("the other one does not see it")
	}
	object, err := one.Open(t.Context(), key(1))
	if err != nil {
		t.Fatal(err)
	}
	defer object.Close()
	two.Remove(t.Context(), key(1))
	if content, err := io.ReadAll(object); err != nil || !bytes.Equal(content, of(1, 1000)) {
		t.Errorf("what is removed while it is read: %d bytes, %v", len(content), err)
	}
	if has(t, one, 1, 1000) {
		t.Error("it is still there")
	}
	for _, s := range []*storage.Storage{one, two} {
		if size, _ := s.Size(); size != 0 {
			t.Errorf("%d bytes are taken", size)
		}
	}
}

// TestAClientThatLeavesChangesNothing: what it looked for is still there, and the storage is not left alone.
func TestAClientThatLeavesChangesNothing(t *testing.T) {
	var told counted
	s := open(t, inDirectory(t.TempDir(), "size=1MiB"), &told)
	put(t, s, 1, 1000)
	before, _ := s.Size()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if object, err := s.Open(ctx, key(1)); err == nil {
		_ = object.Close()
	}
	if after, _ := s.Size(); after != before || !has(t, s, 1, 1000) || told.failed.Load() != 0 {
		t.Errorf("%d bytes are taken, before %d; %d failures", after, before, told.failed.Load())
	}
}
