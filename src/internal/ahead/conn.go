// SPDX-License-Identifier: Apache-2.0

package ahead

import (
	"net"
	"sync"
	"sync/atomic"
)

const (
	// bulkSize is the size of net/http's own buffer, in bytes: a connection that fills it brings more than a header.
	bulkSize = 4 << 10
	// narrow is how much is read ahead of an upload without a lane, in bytes: the end of a chunk, the header of the next, and a third of
	// its content. With 4 KiB, 64 uploads at once need a twentieth more CPU time; with 40, 2 MiB more memory.
	narrow = 12 << 10
)

// Listen makes connections of a listener's that are read ahead while they bring a lot. They are told from others by their address
// alone, so that whatever else is put around them does not hide what they are.
func Listen(l net.Listener) net.Listener {
	return listener{l, spills{narrow: buffersOf(narrow), wide: buffersOf(wide)}}
}

type listener struct {
	net.Listener
	spills spills
}

// spills are what the connections of a listener read ahead into.
type spills struct{ narrow, wide *sync.Pool }

// Accept implements [net.Listener].
func (l listener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: accepted, both: readerOfTwo(accepted), spills: l.spills}, nil
}

// conn holds a buffer only while there is something in it, or while it waits for the next piece of an upload.
type conn struct {
	net.Conn
	// both fills one buffer and then another; nil where a connection cannot do that.
	both   func(first, second []byte) (int, error)
	spills spills
	wide   atomic.Bool
	spill  *[]byte
	unread []byte       // of spill
	ready  atomic.Int64 // its length, for others than who reads
	bulk   bool         // the last piece was a large one
}

// address is a connection's own, and leads to it.
type address struct {
	net.Addr
	conn *conn
}

// LocalAddr implements [net.Conn].
func (c *conn) LocalAddr() net.Addr { return address{c.Conn.LocalAddr(), c} }

// waiting is how many bytes have been read ahead; none of a connection that is not known.
func (c *conn) waiting() int {
	if c == nil {
		return 0
	}
	return int(c.ready.Load())
}

// widen says whether the connection's upload is in a lane.
func (c *conn) widen(on bool) {
	if c != nil {
		c.wide.Store(on)
	}
}

func (c *conn) pool(ofWide bool) *sync.Pool {
	if ofWide {
		return c.spills.wide
	}
	return c.spills.narrow
}

// Read implements [net.Conn]. Like any connection's it is for one goroutine at a time.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.unread) > 0 {
		return c.take(p), nil
	}
	// Between requests net/http waits for a single byte.
	if !c.bulk || c.both == nil || len(p) < bulkSize {
		n, err := c.Conn.Read(p)
		c.bulk = n >= bulkSize && n == len(p)
		return n, err
	}
	c.spill = c.pool(c.wide.Load()).Get().(*[]byte)
	n, err := c.both(p, *c.spill)
	c.bulk = n >= bulkSize
	if n > len(p) {
		c.keep((*c.spill)[:n-len(p)])
		return len(p), err
	}
	c.keep(nil)
	return n, err
}

func (c *conn) take(p []byte) int {
	n := copy(p, c.unread)
	c.keep(c.unread[n:])
	return n
}

// keep keeps what is still to be read, and gives the buffer back when that is nothing.
func (c *conn) keep(rest []byte) {
	c.unread = rest
	c.ready.Store(int64(len(rest)))
	if len(rest) == 0 {
		c.pool(len(*c.spill) == wide).Put(c.spill)
		c.spill, c.unread = nil, nil
	}
}
