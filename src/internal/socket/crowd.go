// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"net"
	"sync"
	"sync/atomic"
)

const (
	// few connections are left to the kernel. A bound costs a fifth more processor time where a line is faster
	// than the processor, and eight peers that do not read cost little.
	few = 8
	// unsent is how much of what it cannot send yet the kernel takes from the others, in bytes. Without a bound
	// it takes megabytes for each peer that does not read. What is on its way to a peer that reads has no bound
	// here, so a long line is as fast as before.
	unsent = 128 << 10
	// unread is how much of what has arrived and is not read yet the kernel takes in such a connection, where
	// that is bounded, in bytes. It bounds the throughput of a long line, too.
	unread = 128 << 10
)

// Crowd is connections that are open at the same time.
type Crowd struct {
	// Near peers are at the end of a short line. What arrives from them is bounded, too.
	Near bool

	open atomic.Int64
}

// Join returns a connection that counts until it is closed. Beyond the first few, the kernel holds little of
// it while its peer does not read.
func (c *Crowd) Join(conn net.Conn) net.Conn {
	if c.open.Add(1) > few {
		boundUnsent(conn, unsent)
		if tcp, ok := conn.(*net.TCPConn); ok && c.Near {
			_ = tcp.SetReadBuffer(unread) // without it, it is as slow or fast as before
		}
	}
	return &member{Conn: conn, leave: sync.OnceFunc(func() { c.open.Add(-1) })}
}

type member struct {
	net.Conn
	leave func()
}

// Close implements [net.Conn].
func (m *member) Close() error {
	m.leave()
	return m.Conn.Close()
}
