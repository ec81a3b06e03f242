// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net"
	"sync"
)

const (
	// bulkSize is the size of net/http's own buffer, in bytes: a connection that fills it brings more than a header.
	bulkSize = 4 << 10
	// spillSize is how much is read of what comes after, in bytes: the end of a chunk, the header of the next, and a third of its
	// content where that is 32 KiB. With 4 KiB, 64 uploads at once need a twentieth more CPU time; with 40, 2 MiB more memory.
	spillSize = 12 << 10
)

// aheadListener makes connections from which uploads are read in large pieces. net/http reads each chunk of a chunked body in
// two: the 4 KiB in which its header stands, and the rest. That costs a seventh of the proxy's CPU time. Here the rest of one
// chunk and the beginning of the next come with one system call, each to where it belongs.
type aheadListener struct {
	net.Listener
	spills *sync.Pool
}

func readAhead(l net.Listener) net.Listener { return aheadListener{l, newSpills()} }

func newSpills() *sync.Pool { return &sync.Pool{New: func() any { return new([spillSize]byte) }} }

// Accept implements [net.Listener].
func (l aheadListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &aheadConn{Conn: conn, both: readerOfTwo(conn), spills: l.spills}, nil
}

// aheadConn holds a spill only while there is something in it, or while it waits for the next piece of an upload: idle connections
// cost none.
type aheadConn struct {
	net.Conn
	// both fills one buffer and then another; nil where a connection cannot do that.
	both   func(first, second []byte) (int, error)
	spills *sync.Pool
	spill  *[spillSize]byte
	unread []byte // of spill
	bulk   bool   // the last piece was a large one
}

// Read implements [net.Conn]. Like any connection's it is for one goroutine at a time.
func (c *aheadConn) Read(p []byte) (int, error) {
	if len(c.unread) > 0 {
		return c.take(p), nil
	}
	if !c.bulk || c.both == nil {
		n, err := c.Conn.Read(p)
		c.bulk = n >= bulkSize && n == len(p)
		return n, err
	}
	c.spill = c.spills.Get().(*[spillSize]byte)
	n, err := c.both(p, c.spill[:])
	c.bulk = n >= bulkSize
	if n > len(p) {
		c.unread = c.spill[:n-len(p)]
		return len(p), err
	}
	c.drop()
	return n, err
}

func (c *aheadConn) take(p []byte) int {
	n := copy(p, c.unread)
	c.unread = c.unread[n:]
	if len(c.unread) == 0 {
		c.drop()
	}
	return n
}

func (c *aheadConn) drop() {
	c.spills.Put(c.spill)
	c.spill = nil
}
