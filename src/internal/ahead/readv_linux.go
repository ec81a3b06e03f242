// SPDX-License-Identifier: Apache-2.0

package ahead

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// readerOfTwo gives what reads from a connection into two buffers at once (readv(2)); nil for a connection without a file descriptor.
func readerOfTwo(conn net.Conn) func(first, second []byte) (int, error) {
	open, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := open.SyscallConn()
	if err != nil {
		return nil
	}
	s := &scatter{raw: raw, local: conn.LocalAddr(), remote: conn.RemoteAddr()}
	s.try = s.readv
	return s.read
}

// scatter is what one connection's reads have in common, so that none of them makes garbage.
type scatter struct {
	raw           syscall.RawConn
	local, remote net.Addr
	try           func(fd uintptr) bool
	into          [][]byte
	two           [2][]byte
	n             int
	err           error
}

func (s *scatter) read(first, second []byte) (int, error) {
	s.two = [2][]byte{first, second}
	s.into = s.two[:]
	err := s.raw.Read(s.try)
	s.two = [2][]byte{}
	switch {
	case err != nil: // closed, or out of time
		return 0, err
	case s.err != nil:
		return 0, &net.OpError{Op: "read", Net: "tcp", Source: s.local, Addr: s.remote, Err: os.NewSyscallError("readv", s.err)}
	case s.n == 0:
		return 0, io.EOF
	default:
		return s.n, nil
	}
}

// readv reports whether there is a result; without one, it is called again when there is something to read.
func (s *scatter) readv(fd uintptr) bool {
	for {
		s.n, s.err = unix.Readv(int(fd), s.into)
		if !errors.Is(s.err, unix.EINTR) {
			return !errors.Is(s.err, unix.EAGAIN)
		}
	}
}
