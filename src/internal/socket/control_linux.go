// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"net"
	"syscall"
)

// control calls do with the descriptor of a connection's socket. Where it has none, or is closed, do is not
// called.
func control(conn net.Conn, do func(fd int)) {
	from, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := from.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { do(int(fd)) })
}
