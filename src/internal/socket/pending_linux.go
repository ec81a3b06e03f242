// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"net"

	"golang.org/x/sys/unix"
)

// Pending reports whether bytes have arrived on conn that nobody has read yet. It neither waits nor reads. Where
// conn has no socket, it reports false.
func Pending(conn net.Conn) bool {
	if m, ok := conn.(*member); ok {
		conn = m.Conn
	}
	pending := false
	control(conn, func(fd int) {
		n, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
		pending = err == nil && n > 0
	})
	return pending
}
