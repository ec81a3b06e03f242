// SPDX-License-Identifier: Apache-2.0

package httpserver

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// clientConn is one client's connection, below TLS. It ends a request whose body, or whose answer, does not
// move. What moves, however slowly, goes on: that is looked at here, by the byte, because above TLS a record
// of 16 KiB counts as nothing until it is complete.
type clientConn struct {
	net.Conn
	places *Connections
	from   netip.Prefix
	// What follows is guarded by the lock of places. since is when it was accepted, or became idle. spared: it did
	// not give way once, because something had arrived.
	busy, spared bool
	since        time.Time

	mu sync.Mutex
	// reading: a handler reads a body. stopped: it is not to wait for more of it. ending: somebody else has set
	// a deadline for writing.
	reading, stopped, ending bool
	// stalled is why the request was ended here; nil: it was not.
	stalled error
}

// ErrStalled is what a request ends with whose client does nothing for a minute.
var ErrStalled = errors.New("the client stalls")

// The reasons why a request is ended for want of progress.
var (
	errSendsNothing = fmt.Errorf("%w: it sent nothing of the request's body for a minute", ErrStalled)
	errReadsNothing = fmt.Errorf("%w: it read nothing of the answer for a minute", ErrStalled)
)

// Read implements [net.Conn].
func (c *clientConn) Read(p []byte) (int, error) {
	c.mu.Lock()
	if c.reading {
		_ = c.SetReadDeadline(time.Now().Add(c.places.silence))
	}
	c.mu.Unlock()
	n, err := c.Conn.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.mu.Lock()
		if c.reading {
			c.stalled = errSendsNothing
		}
		c.mu.Unlock()
	}
	return n, err
}

// Write implements [net.Conn]. A part that was written renews the time for the rest.
func (c *clientConn) Write(p []byte) (written int, err error) {
	for moved := time.Now(); ; {
		c.mu.Lock()
		ending := c.ending
		c.mu.Unlock()
		if !ending {
			_ = c.Conn.SetWriteDeadline(time.Now().Add(c.places.silence / 12))
		}
		n, err := c.Conn.Write(p[written:])
		written += n
		if n > 0 {
			moved = time.Now()
		}
		switch late := errors.Is(err, os.ErrDeadlineExceeded) && !ending; {
		case late && time.Since(moved) < c.places.silence:
			continue
		case late:
			c.mu.Lock()
			c.stalled = errReadsNothing
			c.mu.Unlock()
		}
		return written, err
	}
}

// SetWriteDeadline implements [net.Conn]: crypto/tls bounds its last message.
func (c *clientConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	c.ending = !t.IsZero()
	c.mu.Unlock()
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline implements [net.Conn].
func (c *clientConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// Close implements [net.Conn].
func (c *clientConn) Close() error {
	c.places.mu.Lock()
	c.places.remove(c)
	c.places.mu.Unlock()
	return c.Conn.Close()
}

// beginBody and endBody enclose each reading of a body. In between, other time passes: the registry's.
func (c *clientConn) beginBody() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading = !c.stopped
}

// begin is called for each request.
func (c *clientConn) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = false
}

func (c *clientConn) endBody() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reading {
		c.reading = false
		_ = c.SetReadDeadline(time.Time{})
	}
}

// stopBody ends the reading of a body by then, also where it moves.
func (c *clientConn) stopBody(by time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading, c.stopped = false, true
	_ = c.SetReadDeadline(by)
}

// why returns why the request was ended for want of progress; nil: it was not, or there is no connection.
func (c *clientConn) why() error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stalled
}
