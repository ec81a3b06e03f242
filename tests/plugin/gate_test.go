// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// gate is a line to a server. What is sent there stands still after some bytes, until it is opened: an upload on
// it cannot end too soon for a test, however late the test gets to run.
type gate struct {
	// host is where it listens.
	host string

	to     string
	passes atomic.Int64
	opened chan struct{}
}

func newGate(t *testing.T, to string, passes int64) *gate {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{host: listener.Addr().String(), to: to, opened: make(chan struct{})}
	g.passes.Store(passes)
	ctx, end := context.WithCancel(context.WithoutCancel(t.Context()))
	var lines sync.WaitGroup
	lines.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil { // the test has ended
				return
			}
			lines.Go(func() { g.carry(ctx, near) })
		}
	})
	t.Cleanup(func() {
		end()
		_ = listener.Close()
		lines.Wait()
	})
	return g
}

// open lets everything through from now on.
func (g *gate) open() { close(g.opened) }

// carry carries one connection until both its ends are closed, or the context ends.
func (g *gate) carry(ctx context.Context, near net.Conn) {
	defer near.Close()
	far, err := new(net.Dialer).DialContext(ctx, "tcp", g.to)
	if err != nil {
		return
	}
	defer far.Close()
	stop := context.AfterFunc(ctx, func() {
		_ = near.Close()
		_ = far.Close()
	})
	defer stop()
	var back sync.WaitGroup
	defer back.Wait()
	back.Go(func() {
		_, _ = io.Copy(near, far)
		_ = near.(*net.TCPConn).CloseWrite()
	})
	for buffer := make([]byte, 32<<10); ; {
		n, err := near.Read(buffer)
		if g.passes.Add(-int64(n)) < 0 {
			select {
			case <-g.opened:
			case <-ctx.Done():
			}
		}
		if _, failed := far.Write(buffer[:n]); failed != nil || err != nil {
			_ = far.(*net.TCPConn).CloseWrite()
			return
		}
	}
}
