// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// ProgressConn is a connection that ends a write of which nothing gets away for too long. A write that moves,
// however slowly, goes on. Where a deadline is set from above, it counts instead: crypto/tls bounds its last
// message.
type ProgressConn struct {
	net.Conn
	// Limit is for how long nothing may get away.
	Limit time.Duration

	bounded atomic.Bool // from above
}

// Write implements [net.Conn].
func (c *ProgressConn) Write(p []byte) (written int, err error) {
	if c.bounded.Load() {
		return c.Conn.Write(p)
	}
	for moved := time.Now(); ; {
		// The kernel tells of a part that got away only when the time is over.
		if err := c.Conn.SetWriteDeadline(time.Now().Add(c.Limit / 12)); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(p[written:])
		written += n
		if n > 0 {
			moved = time.Now()
		}
		if !c.Stalled(err) || time.Since(moved) >= c.Limit {
			return written, err
		}
	}
}

// SendFile writes so many bytes of a file, from where it stands. The kernel sends them, without a copy of its own
// in this process, where the connection can have that.
func (c *ProgressConn) SendFile(file *os.File, bytes int64) (sent int64, err error) {
	to, ok := c.Conn.(io.ReaderFrom)
	if !ok || c.bounded.Load() {
		return io.CopyN(struct{ io.Writer }{c}, file, bytes)
	}
	at, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	for moved := time.Now(); ; {
		if err := c.Conn.SetWriteDeadline(time.Now().Add(c.Limit / 12)); err != nil {
			return sent, err
		}
		n, err := to.ReadFrom(&io.LimitedReader{R: file, N: bytes - sent})
		sent += n
		if n > 0 {
			moved = time.Now()
		}
		if !c.Stalled(err) || time.Since(moved) >= c.Limit {
			return sent, err
		}
		// Where the kernel did not do it, more was read than got away.
		if _, err := file.Seek(at+sent, io.SeekStart); err != nil {
			return sent, err
		}
	}
}

// Stalled reports whether an error of Write is for want of progress.
func (c *ProgressConn) Stalled(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) && !c.bounded.Load()
}

// SetDeadline implements [net.Conn].
func (c *ProgressConn) SetDeadline(t time.Time) error {
	c.bounded.Store(!t.IsZero())
	return c.Conn.SetDeadline(t)
}

// SetWriteDeadline implements [net.Conn].
func (c *ProgressConn) SetWriteDeadline(t time.Time) error {
	c.bounded.Store(!t.IsZero())
	return c.Conn.SetWriteDeadline(t)
}
