// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"net"

	"golang.org/x/sys/unix"
)

// boundUnsent sets TCP_NOTSENT_LOWAT (tcp(7)). Where the kernel cannot, or conn has no socket, nothing
// changes.
func boundUnsent(conn net.Conn, bytes int) {
	control(conn, func(fd int) {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, bytes)
	})
}
