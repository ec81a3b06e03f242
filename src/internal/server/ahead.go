// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net"
	"sync"
)

const (
	// aheadSize is how much is read at once of a connection that brings a lot, in bytes: a chunk of 32 KiB, its header, and what
	// Go's allocator would round that up to. Twice as much takes 3 MiB more for 64 uploads, and saves no CPU time.
	aheadSize = 40 << 10
	// bulkSize is the size of net/http's own buffer, in bytes: a connection that fills it brings more than a header.
	bulkSize = 4 << 10
)

// aheadListener makes connections from which uploads are read in large pieces. net/http reads each chunk of a chunked body in
// two: the 4 KiB in which its header stands, and the rest. That costs a seventh of the proxy's CPU time.
type aheadListener struct {
	net.Listener
	buffers *sync.Pool
}

func readAhead(l net.Listener) net.Listener {
	return aheadListener{l, &sync.Pool{New: func() any { return new([aheadSize]byte) }}}
}

// Accept implements [net.Listener].
func (l aheadListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &aheadConn{Conn: conn, buffers: l.buffers}, nil
}

// aheadConn holds a buffer only while there is something in it, or while it waits for the next piece of an upload: idle
// connections cost none.
type aheadConn struct {
	net.Conn
	buffers *sync.Pool
	held    *[aheadSize]byte
	unread  []byte // of held
	bulk    bool   // the last piece was a large one
}

// Read implements [net.Conn]. Like any connection's it is for one goroutine at a time.
func (c *aheadConn) Read(p []byte) (int, error) {
	if len(c.unread) > 0 {
		return c.take(p), nil
	}
	if !c.bulk || len(p) >= aheadSize {
		n, err := c.Conn.Read(p)
		c.bulk = n >= bulkSize && n == len(p)
		return n, err
	}
	c.held = c.buffers.Get().(*[aheadSize]byte)
	n, err := c.Conn.Read(c.held[:])
	c.bulk = n >= bulkSize
	c.unread = c.held[:n]
	return c.take(p), err
}

func (c *aheadConn) take(p []byte) int {
	n := copy(p, c.unread)
	c.unread = c.unread[n:]
	if len(c.unread) == 0 {
		c.buffers.Put(c.held)
		c.held = nil
	}
	return n
}
