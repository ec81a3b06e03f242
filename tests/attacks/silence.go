// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"net"
	"sync"
	"testing"
)

// silence is a host that takes connections and says nothing.
type silence struct {
	address string

	mu    sync.Mutex
	taken []net.Conn
}

func newSilence(t testing.TB) *silence {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &silence{address: listener.Addr().String()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.taken = append(s.taken, conn)
			s.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-done
		s.closeAll()
	})
	return s
}

// closeAll ends its connections.
func (s *silence) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range s.taken {
		conn.Close()
	}
	s.taken = nil
}
