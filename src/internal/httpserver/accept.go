// SPDX-License-Identifier: Apache-2.0

package httpserver

import (
	"net"

	"github.com/local-source-proxy/local-source-proxy/src/internal/socket"
)

// boundedListener accepts connections of which the kernel holds little while their client does not read.
type boundedListener struct {
	net.Listener
	open *socket.Crowd
}

// Accept implements [net.Listener].
func (l boundedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.open.Join(conn), nil
}
