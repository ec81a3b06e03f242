// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"errors"
	"io"
	"os"
	"time"
)

// place is where objects are. Its error for what is not there is cache.ErrNotKept.
type place interface {
	// open reads an object from a byte on. It returns the size of all of it.
	open(ctx context.Context, key string, from int64) (body io.ReadCloser, size int64, err error)
	// put keeps an object whole, or not at all.
	put(ctx context.Context, key string, content *io.SectionReader) error
	remove(ctx context.Context, key string) error
	sign(ctx context.Context, key string) (string, error)
	// close closes what is held beside requests.
	close() error
}

// readLimit is how long a bucket may send nothing of an object.
const readLimit = 15 * time.Second

var errStalled = errors.New("it sent nothing for " + readLimit.String())

var errNoURL = errors.New("this storage has no URLs to sign")

// object implements [cache.Object]. It asks the place anew when the reading goes on elsewhere.
type object struct {
	ctx    context.Context //nolint:containedctx // that of the request which reads it
	cancel context.CancelCauseFunc
	place  place
	key    string
	size   int64
	// body stands at bodyAt, and is read at.
	body       io.ReadCloser
	at, bodyAt int64
}

// Size implements [cache.Object].
func (o *object) Size() int64 { return o.size }

// File implements [cache.Object].
func (o *object) File() *os.File {
	file, _ := o.body.(*os.File)
	return file
}

// Read implements [io.Reader].
func (o *object) Read(p []byte) (int, error) {
	if o.at >= o.size {
		return 0, io.EOF
	}
	if o.body == nil || o.bodyAt != o.at {
		o.closeBody()
		body, size, err := o.place.open(o.ctx, o.key, o.at)
		if err != nil {
			return 0, err
		}
		if o.body, o.bodyAt = body, o.at; size != o.size {
			return 0, errors.New("the object was replaced while it was read")
		}
	}
	n, err := o.readBody(p)
	o.at += int64(n)
	o.bodyAt = o.at
	return n, err
}

// readBody ends the reading when a bucket sends nothing for too long.
func (o *object) readBody(p []byte) (int, error) {
	if o.File() != nil {
		return o.body.Read(p)
	}
	timer := time.AfterFunc(readLimit, func() { o.cancel(errStalled) })
	defer timer.Stop()
	n, err := o.body.Read(p)
	if err != nil && errors.Is(context.Cause(o.ctx), errStalled) {
		err = errStalled
	}
	return n, err
}

// Seek implements [io.Seeker].
func (o *object) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += o.at
	case io.SeekEnd:
		offset += o.size
	}
	if offset < 0 {
		return 0, errors.New("seek in front of an object")
	}
	o.at = offset
	return offset, nil
}

// Close implements [io.Closer].
func (o *object) Close() error {
	o.closeBody()
	o.cancel(nil)
	return nil
}

func (o *object) closeBody() {
	if o.body != nil {
		_ = o.body.Close()
		o.body = nil
	}
}
