// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy/cache"
)

const (
	// lookLimit is how long the storage may take to say what it has.
	lookLimit = 5 * time.Second
	// awayFor is how long the storage is left alone after it failed.
	awayFor = 15 * time.Second
	// octets is the media type of what is kept.
	octets = "application/octet-stream"
	// urlLife is how long a signed URL opens a blob.
	urlLife = time.Minute
	// writeLimit is how long the storage may take nothing of an object.
	writeLimit = time.Minute
)

// errSilent is for a storage that takes no more of an object.
var errSilent = errors.New("it took nothing for " + writeLimit.String())

// errAway is for a storage that failed a moment ago.
var errAway = errors.New("the cache's storage failed a moment ago, and is left alone")

// Observer is told what a storage does.
type Observer interface {
	// CacheEvicted is called for each object that had to leave.
	CacheEvicted()
	// CacheFailed is called when the storage fails.
	CacheFailed()
}

// Storage implements [cache.Storage]. It is safe for concurrent use, also by several processes.
type Storage struct {
	place place
	// dir is the directory that it is in; empty for memory and buckets.
	dir string
	// locked says to other processes that the directory is in use; may be nil.
	locked *os.File
	// room keeps it below its size; nil where the storage has rules of its own.
	room     *room
	observer Observer
	log      *slog.Logger
	// away is until when the storage is left alone, in nanoseconds of Unix time.
	away atomic.Int64
}

// Open opens a storage.
func Open(ctx context.Context, s Settings, observer Observer, logger *slog.Logger) (*Storage, error) {
	st := &Storage{observer: observer, log: logger}
	if s.size > 0 {
		st.room = newRoom(s.size)
		st.room.evicted = observer.CacheEvicted
	}
	if s.url.Scheme == schemeDirectory {
		st.dir = filepath.FromSlash(s.url.Path)
		if err := os.MkdirAll(st.dir, 0o700); err != nil {
			return nil, fmt.Errorf("make the cache's directory: %w", err)
		}
		if err := st.takeOver(); err != nil {
			return nil, fmt.Errorf("look through the cache's directory: %w", err)
		}
	}
	var err error
	if st.place, err = openPlace(ctx, s); err != nil {
		return nil, fmt.Errorf("open the cache's storage: %w", err)
	}
	if s.SignedURLs {
		if _, err := st.place.sign(ctx, "content"); errors.Is(err, errNoURL) {
			return nil, errors.New("signed_urls=true needs a key to sign with: set AZURE_STORAGE_KEY for Azure, " +
				"AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (an HMAC key) for Google")
		}
	}
	if st.room != nil {
		st.Remove(ctx, st.room.free(0)...) // the size may be smaller than last time
	}
	return st, nil
}

// takeOver takes over what the directory has.
func (s *Storage) takeOver() error {
	file, alone, err := lock(s.dir)
	if err != nil {
		return err
	}
	s.locked = file
	if err := s.room.load(s.dir, alone); err != nil {
		_ = file.Close()
		return err
	}
	if alone {
		share(file)
	}
	return nil
}

// openPlace opens one of the places that [ParseURL] takes.
func openPlace(ctx context.Context, s Settings) (place, error) {
	switch s.url.Scheme {
	case schemeDirectory:
		return directory{filepath.FromSlash(s.url.Path)}, nil
	case schemeMemory:
		return &memory{objects: map[string][]byte{}}, nil
	case schemeS3:
		return openS3(ctx, s.url)
	case schemeGoogle:
		return openGoogle(ctx, s.url)
	default:
		return openAzure(ctx, s.url)
	}
}

// Close implements [cache.Storage].
func (s *Storage) Close() error {
	_ = s.locked.Close() // nothing was written to it
	return s.place.close()
}

// Size is how many bytes are kept in a directory or memory. It is false for a bucket.
func (s *Storage) Size() (int64, bool) {
	if s.room == nil {
		return 0, false
	}
	return s.room.size(), true
}

// Dir implements [cache.Storage].
func (s *Storage) Dir() string { return s.dir }

// ready reports whether the storage may be asked.
func (s *Storage) ready() bool { return time.Now().UnixNano() >= s.away.Load() }

// note leaves the storage alone for a while after an error that is the storage's own, and not because who asked
// has left.
func (s *Storage) note(left bool, attempt string, err error) error {
	if err == nil || errors.Is(err, cache.ErrNotKept) || errors.Is(err, errNoURL) {
		return err
	}
	if !left {
		s.away.Store(time.Now().Add(awayFor).UnixNano())
		s.observer.CacheFailed()
		s.log.Warn("the cache's storage failed; requests go to the registry meanwhile",
			"attempt", attempt, "error", err.Error(), "next_attempt_in", awayFor)
	}
	return fmt.Errorf("%s: %w", attempt, err)
}

// Open implements [cache.Storage].
func (s *Storage) Open(ctx context.Context, key string) (cache.Object, error) {
	if !s.ready() {
		return nil, errAway
	}
	// What is opened is read for longer than a look may take, so the context has no deadline.
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(lookLimit, func() { cancel(context.DeadlineExceeded) })
	body, size, err := s.place.open(ctx, key, 0)
	if !timer.Stop() && err == nil {
		_ = body.Close()
		err = context.Cause(ctx)
	}
	if err != nil {
		late := errors.Is(context.Cause(ctx), context.DeadlineExceeded)
		left := ctx.Err() != nil && !late
		cancel(nil)
		err = s.note(left, "read from the cache's storage", err)
		if s.room != nil && errors.Is(err, cache.ErrNotKept) {
			s.room.drop(key)
		}
		return nil, err
	}
	s.use(ctx, key, size)
	return &object{ctx: ctx, cancel: cancel, place: s.place, key: key, size: size, body: body}, nil
}

// use notes that an object was used, for what has to leave first.
func (s *Storage) use(ctx context.Context, key string, size int64) {
	if s.room == nil {
		return
	}
	s.Remove(ctx, s.room.use(key, size)...)
	s.noteUse(key)
}

// noteUse notes the use of a file for the next start. The time of its last change stays. It may be gone by now.
func (s *Storage) noteUse(key string) {
	if s.dir != "" {
		_ = os.Chtimes(s.path(key), time.Now(), time.Time{})
	}
}

// path is where an object's file is; empty: it has none.
func (s *Storage) path(key string) string {
	if s.dir == "" {
		return ""
	}
	return filepath.Join(s.dir, filepath.FromSlash(key))
}

// Put implements [cache.Storage].
func (s *Storage) Put(ctx context.Context, key string, content *io.SectionReader) error {
	if !s.ready() {
		return errAway
	}
	if s.room != nil {
		evicted, fits := s.room.reserve(key, content.Size())
		s.Remove(ctx, evicted...)
		if !fits {
			return nil
		}
	}
	err := s.write(ctx, key, content)
	if err == nil { // others may have taken its room meanwhile
		s.use(ctx, key, content.Size())
		return nil
	}
	if s.room != nil {
		s.room.drop(key)
		if errors.Is(err, syscall.ENOSPC) {
			s.Remove(ctx, s.room.free(2*content.Size())...) // the disk is smaller than the size that was set
		}
	}
	return s.note(ctx.Err() != nil, "write to the cache's storage", err)
}

// write writes an object, as long as the storage takes some of it now and then.
func (s *Storage) write(ctx context.Context, key string, content *io.SectionReader) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(writeLimit, func() { cancel(errSilent) })
	defer timer.Stop()
	err := s.place.put(ctx, key, io.NewSectionReader(watched{content, timer}, 0, content.Size()))
	if err != nil && errors.Is(context.Cause(ctx), errSilent) {
		return errSilent
	}
	return err
}

// watched puts a timer off with each read.
type watched struct {
	io.ReaderAt
	timer *time.Timer
}

func (w watched) ReadAt(p []byte, at int64) (int, error) {
	w.timer.Reset(writeLimit)
	return w.ReaderAt.ReadAt(p, at)
}

// Remove implements [cache.Storage].
func (s *Storage) Remove(ctx context.Context, keys ...string) {
	for _, key := range keys {
		if s.room != nil {
			s.room.drop(key)
		}
		if s.room == nil && !s.ready() {
			return
		}
		err := s.delete(ctx, key)
		if err := s.note(ctx.Err() != nil, "remove from the cache's storage", err); err != nil && !errors.Is(err, cache.ErrNotKept) {
			return
		}
	}
}

func (s *Storage) delete(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	return s.place.remove(ctx, key)
}

// SignedURL implements [cache.Storage].
func (s *Storage) SignedURL(ctx context.Context, key string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	signed, err := s.place.sign(ctx, key)
	return signed, s.note(false, "sign a URL of the cache's bucket", err)
}
