// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
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
)

const (
	// lookLimit is how long the storage may take to say what it has.
	lookLimit = 5 * time.Second
	// awayFor is how long the storage is left alone after it failed.
	awayFor = 15 * time.Second
	// urlLife is how long a signed URL opens a blob.
	urlLife = time.Minute
)

var (
	// errNotKept is for what the storage does not have.
	errNotKept = errors.New("it is not kept")
	// errAway is for a storage that failed a moment ago.
	errAway = errors.New("the cache's storage failed a moment ago, and is left alone")
)

// storage has objects by their key. It is safe for concurrent use, also by several processes.
type storage struct {
	bucket *blob.Bucket
	// dir is the directory that it is in; empty for memory and buckets.
	dir string
	// room keeps it below its size; nil where the storage has rules of its own.
	room *room
	// failed is told of each failure of the storage.
	failed func(attempt string, err error)
	// away is until when the storage is left alone, in nanoseconds of Unix time.
	away atomic.Int64
}

func openStorage(ctx context.Context, s Settings, evicted func(), failed func(string, error)) (*storage, error) {
	st := &storage{failed: failed}
	if s.Size > 0 {
		st.room = newRoom(s.Size)
		st.room.evicted = evicted
	}
	if s.storage.Scheme == schemeDirectory {
		st.dir = filepath.FromSlash(s.storage.Path)
		if err := os.MkdirAll(st.dir, 0o700); err != nil {
			return nil, fmt.Errorf("make the cache's directory: %w", err)
		}
		if err := st.room.load(st.dir); err != nil {
			return nil, fmt.Errorf("look through the cache's directory: %w", err)
		}
	}
	bucket, err := openBucket(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("open the cache's storage: %w", err)
	}
	st.bucket = bucket
	if st.room != nil {
		st.remove(ctx, st.room.free(0)...) // the size may be smaller than last time
	}
	return st, nil
}

// openBucket opens one of the storages that [ParseURL] takes.
func openBucket(ctx context.Context, s Settings) (*blob.Bucket, error) {
	switch s.storage.Scheme {
	case schemeDirectory:
		return fileblob.OpenBucket(filepath.FromSlash(s.storage.Path), &fileblob.Options{
			NoTempDir: true, Metadata: fileblob.MetadataDontWrite, DirFileMode: 0o700,
		})
	case schemeMemory:
		return memblob.OpenBucket(nil), nil
	default:
		return blob.DefaultURLMux().OpenBucketURL(ctx, s.storage)
	}
}

func (s *storage) close() error { return s.bucket.Close() }

// ready reports whether the storage may be asked.
func (s *storage) ready() bool { return time.Now().UnixNano() >= s.away.Load() }

// note leaves the storage alone for a while after an error that is the storage's own.
func (s *storage) note(ctx context.Context, attempt string, err error) error {
	if err == nil {
		return nil
	}
	if gcerrors.Code(err) == gcerrors.NotFound || errors.Is(err, os.ErrNotExist) {
		return errNotKept
	}
	if ctx.Err() == nil {
		s.away.Store(time.Now().Add(awayFor).UnixNano())
		s.failed(attempt, err)
	}
	return fmt.Errorf("%s: %w", attempt, err)
}

// kept is an object that is open for being read.
type kept struct {
	*blob.Reader
	// file is the object's own, where it is one.
	file   *os.File
	cancel context.CancelCauseFunc
}

// Close implements [io.Closer].
func (k *kept) Close() error {
	defer k.cancel(nil)
	return k.Reader.Close()
}

// open opens an object. It is [errNotKept] for one that is not there.
func (s *storage) open(ctx context.Context, key string) (*kept, error) {
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
		if s.room != nil {
			s.room.drop(key)
		}
		return nil, s.note(context.WithoutCancel(ctx), "read from the cache's storage", err)
	}
	s.use(key, reader.Size())
	return &kept{reader, file, cancel}, nil
}

// use notes that an object was used, for what has to leave first.
func (s *storage) use(key string, size int64) {
	if s.room == nil || !s.room.use(key, size) || s.dir == "" {
		return
	}
	// The time of the last change stays. The file may be gone by now.
	_ = os.Chtimes(s.path(key), time.Now(), time.Time{})
}

// path is where an object's file is; empty: it has none.
func (s *storage) path(key string) string {
	if s.dir == "" {
		return ""
	}
	return filepath.Join(s.dir, filepath.FromSlash(key))
}

// get reads a small object.
func (s *storage) get(ctx context.Context, key string, limit int64) ([]byte, error) {
	object, err := s.open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer func() { _ = object.Close() }()
	content, err := io.ReadAll(io.LimitReader(object, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = errNotKept
	}
	return content, s.note(ctx, "read from the cache's storage", err)
}

// put keeps an object. Nothing of it is there before all of it is.
func (s *storage) put(ctx context.Context, key string, content io.Reader, size int64) error {
	if !s.ready() {
		return errAway
	}
	if s.room != nil {
		evicted, fits := s.room.reserve(key, size)
		s.remove(ctx, evicted...)
		if !fits {
			return nil
		}
	}
	err := s.bucket.Upload(ctx, key, content, &blob.WriterOptions{
		ContentType: "application/octet-stream", DisableContentTypeDetection: true,
	})
	if err == nil {
		return nil
	}
	if s.room != nil {
		s.room.drop(key)
		if errors.Is(err, syscall.ENOSPC) {
			s.remove(ctx, s.room.free(2*size)...) // the disk is smaller than the size that was set
		}
	}
	return s.note(ctx, "write to the cache's storage", err)
}

// remove removes objects, which may be gone.
func (s *storage) remove(ctx context.Context, keys ...string) {
	for _, key := range keys {
		if s.room != nil {
			s.room.drop(key)
		}
		err := s.bucket.Delete(ctx, key)
		if err := s.note(ctx, "remove from the cache's storage", err); err != nil && !errors.Is(err, errNotKept) {
			return
		}
	}
}

// url returns an address of the bucket that opens an object for a minute.
func (s *storage) url(ctx context.Context, key string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	signed, err := s.bucket.SignedURL(ctx, key, &blob.SignedURLOptions{Expiry: urlLife})
	return signed, s.note(ctx, "sign a URL of the cache's bucket", err)
}
