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

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob" // azblob://
	"gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/gcsblob" // gs://
	"gocloud.dev/blob/memblob"
	_ "gocloud.dev/blob/s3blob" // s3://
	"gocloud.dev/gcerrors"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy/cache"
)

const (
	// lookLimit is how long the storage may take to say what it has.
	lookLimit = 5 * time.Second
	// awayFor is how long the storage is left alone after it failed.
	awayFor = 15 * time.Second
	// urlLife is how long a signed URL opens a blob.
	urlLife = time.Minute
	// writeLimit is how long the storage may take nothing of an object.
	writeLimit = time.Minute
	// largePart is the size from which on a bucket takes an object in parts, in bytes, and maxUploads how many
	// such objects are on their way to it at once.
	largePart, maxUploads = 5 << 20, 4
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
	bucket *blob.Bucket
	// dir is the directory that it is in; empty for memory and buckets.
	dir string
	// locked says to other processes that the directory is in use; may be nil.
	locked *os.File
	// room keeps it below its size; nil where the storage has rules of its own.
	room     *room
	observer Observer
	log      *slog.Logger
	// uploads has a place for each large object that is on its way to a bucket.
	uploads chan struct{}
	// away is until when the storage is left alone, in nanoseconds of Unix time.
	away atomic.Int64
}

// Open opens a storage.
func Open(ctx context.Context, s Settings, observer Observer, logger *slog.Logger) (*Storage, error) {
	st := &Storage{observer: observer, log: logger, uploads: make(chan struct{}, maxUploads)}
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
	bucket, err := openBucket(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("open the cache's storage: %w", err)
	}
	st.bucket = bucket
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

// openBucket opens one of the storages that [ParseURL] takes.
func openBucket(ctx context.Context, s Settings) (*blob.Bucket, error) {
	switch s.url.Scheme {
	case schemeDirectory:
		return fileblob.OpenBucket(filepath.FromSlash(s.url.Path), &fileblob.Options{
			NoTempDir: true, Metadata: fileblob.MetadataDontWrite, DirFileMode: 0o700,
		})
	case schemeMemory:
		return memblob.OpenBucket(nil), nil
	default:
		return blob.DefaultURLMux().OpenBucketURL(ctx, s.url)
	}
}

// Close implements [cache.Storage].
func (s *Storage) Close() error {
	_ = s.locked.Close() // nothing was written to it
	return s.bucket.Close()
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

// note leaves the storage alone for a while after an error that is the storage's own.
func (s *Storage) note(ctx context.Context, attempt string, err error) error {
	if err == nil {
		return nil
	}
	if gcerrors.Code(err) == gcerrors.NotFound || errors.Is(err, os.ErrNotExist) {
		return cache.ErrNotKept
	}
	if ctx.Err() == nil {
		s.away.Store(time.Now().Add(awayFor).UnixNano())
		s.observer.CacheFailed()
		s.log.Warn("the cache's storage failed; requests go to the registry meanwhile",
			"attempt", attempt, "error", err.Error(), "next_attempt_in", awayFor)
	}
	return fmt.Errorf("%s: %w", attempt, err)
}

// object implements [cache.Object].
type object struct {
	*blob.Reader
	// file is the object's own, where it is one.
	file   *os.File
	cancel context.CancelCauseFunc
}

// File implements [cache.Object].
func (o *object) File() *os.File { return o.file }

// Close implements [io.Closer].
func (o *object) Close() error {
	defer o.cancel(nil)
	return o.Reader.Close()
}

// Open implements [cache.Storage].
func (s *Storage) Open(ctx context.Context, key string) (cache.Object, error) {
	if !s.ready() {
		return nil, errAway
	}
	var file *os.File
	// The reader lives longer than the look-up, so its context has no deadline.
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(lookLimit, func() { cancel(context.DeadlineExceeded) })
	reader, err := s.bucket.NewReader(ctx, key, &blob.ReaderOptions{
		BeforeRead: func(as func(any) bool) error { as(&file); return nil },
	})
	if !timer.Stop() && err == nil {
		_ = reader.Close()
		err = context.Cause(ctx)
	}
	if err != nil {
		cancel(nil)
		err = s.note(context.WithoutCancel(ctx), "read from the cache's storage", err)
		if s.room != nil && errors.Is(err, cache.ErrNotKept) {
			s.room.drop(key)
		}
		return nil, err
	}
	s.use(ctx, key, reader.Size())
	return &object{reader, file, cancel}, nil
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
func (s *Storage) Put(ctx context.Context, key string, content io.Reader, size int64) error {
	if !s.ready() {
		return errAway
	}
	if s.room != nil {
		evicted, fits := s.room.reserve(key, size)
		s.Remove(ctx, evicted...)
		if !fits {
			return nil
		}
	}
	err := s.upload(ctx, key, content, size)
	if err == nil && s.room != nil && !s.room.has(key) {
		s.Remove(ctx, key) // it had to leave before it was there
	}
	if err == nil {
		s.noteUse(key) // more exactly than the file system does
		return nil
	}
	if s.room != nil {
		s.room.drop(key)
		if errors.Is(err, syscall.ENOSPC) {
			s.Remove(ctx, s.room.free(2*size)...) // the disk is smaller than the size that was set
		}
	}
	return s.note(ctx, "write to the cache's storage", err)
}

// upload writes an object, as long as the storage takes some of it now and then. A bucket has parts of it in
// memory, so only a few that are large are written at once.
func (s *Storage) upload(ctx context.Context, key string, content io.Reader, size int64) error {
	if s.room == nil && size > largePart {
		select {
		case s.uploads <- struct{}{}:
			defer func() { <-s.uploads }()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(writeLimit, func() { cancel(errSilent) })
	defer timer.Stop()
	err := s.bucket.Upload(ctx, key, watched{content, timer}, &blob.WriterOptions{
		ContentType: "application/octet-stream", DisableContentTypeDetection: true, MaxConcurrency: 1,
	})
	if err != nil && errors.Is(context.Cause(ctx), errSilent) {
		return errSilent
	}
	return err
}

// watched puts a timer off with each read.
type watched struct {
	io.Reader
	timer *time.Timer
}

func (w watched) Read(p []byte) (int, error) {
	w.timer.Reset(writeLimit)
	return w.Reader.Read(p)
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
		if err := s.note(ctx, "remove from the cache's storage", err); err != nil && !errors.Is(err, cache.ErrNotKept) {
			return
		}
	}
}

func (s *Storage) delete(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	return s.bucket.Delete(ctx, key)
}

// SignedURL implements [cache.Storage].
func (s *Storage) SignedURL(ctx context.Context, key string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	signed, err := s.bucket.SignedURL(ctx, key, &blob.SignedURLOptions{Expiry: urlLife})
	return signed, s.note(ctx, "sign a URL of the cache's bucket", err)
}
