// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
)

const (
	// few connections are left to the kernel: a bound on what is not sent costs a fifth more processor time where
	// a line is faster than the processor.
	few = 4
	// many connections are left to it when they are long: a bound on what is not read slows each of them down.
	many = 32
	// unsent is how much of what it cannot send yet the kernel takes from the others, in bytes. By itself it takes
	// megabytes for each peer that does not read. What is on its way to a peer that reads has no bound here, so a
	// long line is as fast as before.
	unsent = 128 << 10
	// unread is how much of what has arrived it keeps for the others until it is read, in bytes, and half of it
	// for those of near peers beyond many. It takes up to twice as much for that.
	unread = 128 << 10
)

// Crowd is connections that are open at the same time.
type Crowd struct {
	// Far peers may be at the end of a long line.
	Far bool

	open atomic.Int64
}

// Join returns a connection that counts until it is closed. In a crowd, the kernel holds little of it while
// one of its ends does not read.
func (c *Crowd) Join(conn net.Conn) net.Conn {
	open := c.open.Add(1)
	if open > few {
		boundUnsent(conn, unsent)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		// An error means that more is kept, which is no reason to serve nobody.
		switch {
		case open > many && !c.Far:
			_ = tcp.SetReadBuffer(unread / 2)
		case open > many, open > few && !c.Far:
			_ = tcp.SetReadBuffer(unread)
		}
	}
	return &member{Conn: conn, leave: sync.OnceFunc(func() { c.open.Add(-1) })}
}

type member struct {
	net.Conn
	leave func()
}

// ReadFrom implements [io.ReaderFrom]: of a file, the kernel sends the content.
func (m *member) ReadFrom(source io.Reader) (int64, error) {
	if to, ok := m.Conn.(io.ReaderFrom); ok {
		return to.ReadFrom(source)
	}
	return io.Copy(struct{ io.Writer }{m.Conn}, source)
}

// Close implements [net.Conn].
func (m *member) Close() error {
	m.leave()
	return m.Conn.Close()
}
