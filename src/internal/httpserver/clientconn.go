// SPDX-License-Identifier: Apache-2.0

package httpserver

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/socket"
)

// clientConn is one client's connection, below TLS. It ends a request whose body, or whose answer, does not
// move. What moves, however slowly, goes on: that is looked at here, by the byte, because above TLS a record
// of 16 KiB counts as nothing until it is complete.
type clientConn struct {
	*socket.ProgressConn
	places *Connections
	from   netip.Prefix
	// What follows is guarded by the lock of places. since is when it was accepted, or became idle. spared: it did
	// not give way once, because something had arrived.
	busy, spared bool
	since        time.Time

	mu sync.Mutex
	// reading: a handler reads a body. stopped: it is not to wait for more of it.
	reading, stopped bool
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

// Write implements [net.Conn].
func (c *clientConn) Write(p []byte) (int, error) {
	n, err := c.ProgressConn.Write(p)
	c.noteStalled(err)
	return n, err
}

// ReadFrom implements [io.ReaderFrom], which net/http looks for: of a file, the kernel sends the content.
func (c *clientConn) ReadFrom(source io.Reader) (n int64, err error) {
	if limited, ok := source.(*io.LimitedReader); ok {
		if file, ok := limited.R.(*os.File); ok {
			n, err = c.SendFile(file, limited.N)
			limited.N -= n
			c.noteStalled(err)
			return n, err
		}
	}
	return io.Copy(struct{ io.Writer }{c}, source)
}

// noteStalled notes that the client does not read, if that is what the error of a write says.
func (c *clientConn) noteStalled(err error) {
	if !c.Stalled(err) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stalled = errReadsNothing
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
