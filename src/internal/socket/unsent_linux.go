// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// boundUnsent sets TCP_NOTSENT_LOWAT (tcp(7)). Where the kernel cannot, or conn has no socket, nothing
// changes.
func boundUnsent(conn net.Conn, bytes int) {
	tcp, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, bytes)
	})
}
