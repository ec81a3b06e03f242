// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Pending reports whether bytes have arrived on conn that nobody has read yet. It neither waits nor reads. Where
// conn has no socket, it reports false.
func Pending(conn net.Conn) bool {
	if m, ok := conn.(*member); ok {
		conn = m.Conn
	}
	tcp, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	pending := false
	_ = raw.Control(func(fd uintptr) {
		n, err := unix.IoctlGetInt(int(fd), unix.SIOCINQ)
		pending = err == nil && n > 0
	})
	return pending
}
