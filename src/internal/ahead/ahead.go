// SPDX-License-Identifier: Apache-2.0

// Package ahead lets uploads pass in large pieces, so that they need few system calls and wake nobody for a little.
//
// net/http reads each chunk of a chunked body in two, the 4 KiB in which its header stands and the rest, and sends it on as it came.
// Here the rest of one chunk and the beginning of the next come with one system call ([Listen]). The first few uploads of those under
// way are read further ahead, and of them chunks that are there already are sent on as one ([Lanes]); more than a few gain nothing
// by that, since they fill the machine, and their memory would add up.
//
// It waits for nothing that has not been asked for, and keeps no buffer for a connection that is idle.
package ahead

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

const (
	// few is how many uploads have a lane at a time.
	few = 2
	// wide is how much one in a lane is read ahead, and sent on at once, in bytes: six chunks of 32 KiB, as clients send them.
	wide = 192 << 10
	// frame is what stands between the contents of two chunks at most, in bytes, but for extensions.
	frame = 16
)

// Lanes are for the few uploads that pass in large pieces. They are safe for concurrent use.
type Lanes struct {
	taken   atomic.Int32
	buffers *sync.Pool
}

// NewLanes makes lanes, and nobody is in them.
func NewLanes() *Lanes { return &Lanes{buffers: buffersOf(wide)} }

// buffersOf are of one size.
func buffersOf(size int) *sync.Pool {
	return &sync.Pool{New: func() any {
		buffer := make([]byte, size)
		return &buffer
	}}
}

// Take takes a lane for a request with this context, if there is one, and gives its body in large pieces: as an [io.WriterTo]. The lane
// is free again when leave is called.
func (l *Lanes) Take(ctx context.Context, body io.Reader) (reader io.Reader, leave func()) {
	if l.taken.Add(1) > few {
		l.taken.Add(-1)
		return body, func() {}
	}
	// net/http puts the address into each request's context; that of a connection of [Listen]'s leads to it.
	at, _ := ctx.Value(http.LocalAddrContextKey).(address)
	at.conn.widen(true)
	return &together{Reader: body, conn: at.conn, buffers: l.buffers}, func() {
		at.conn.widen(false)
		l.taken.Add(-1)
	}
}

// together is a body of which chunks that are there already are written as one.
type together struct {
	io.Reader
	conn    *conn // nil: nothing is known of it
	buffers *sync.Pool
}

// WriteTo implements [io.WriterTo].
func (t *together) WriteTo(w io.Writer) (written int64, err error) {
	buffer := t.buffers.Get().(*[]byte)
	defer t.buffers.Put(buffer)
	for {
		n, readErr := t.fill(*buffer)
		if n > 0 {
			n, err = w.Write((*buffer)[:n])
			written += int64(n)
		}
		switch {
		case err != nil:
			return written, err
		case readErr == io.EOF: //nolint:errorlint // as io.Copy has it: a wrapped one is none
			return written, nil
		case readErr != nil:
			return written, readErr
		}
	}
}

// fill reads once, and again while as much as came last is there already and has room: then it is a chunk like the last one.
func (t *together) fill(piece []byte) (n int, err error) {
	n, err = t.Read(piece)
	for last := n; err == nil && last > 0 && last <= len(piece)-n && t.conn.waiting() >= last+frame; n += last {
		last, err = t.Read(piece[n:])
	}
	return n, err
}
