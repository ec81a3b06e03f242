// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"sync"
	"testing"
	"testing/iotest"
)

// pieces is a connection that gives what it has in pieces of changing sizes.
type pieces struct {
	net.Conn
	rest  []byte
	sizes []int
	asked []int
}

func (c *pieces) Read(p []byte) (int, error) {
	c.asked = append(c.asked, len(p))
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	size := c.sizes[0]
	c.sizes = append(c.sizes[1:], size)
	n := copy(p, c.rest[:min(size, len(c.rest))])
	c.rest = c.rest[n:]
	return n, nil
}

func TestNothingIsLostAhead(t *testing.T) {
	content := make([]byte, 1<<20)
	_, _ = rand.Read(content)
	for _, sizes := range [][]int{{1, 5000, 70000, 4096, 3}, {1 << 20}, {4096, 100, 65536}, {7}} {
		for _, reader := range []func(io.Reader) io.Reader{
			func(r io.Reader) io.Reader { return r },
			func(r io.Reader) io.Reader { return iotest.HalfReader(r) },
			func(r io.Reader) io.Reader { return io.MultiReader(io.LimitReader(r, 4096), io.LimitReader(r, 9), r) },
		} {
			conn := &aheadConn{Conn: &pieces{rest: content, sizes: sizes}, buffers: &sync.Pool{New: func() any { return new([aheadSize]byte) }}}
			got, err := io.ReadAll(reader(conn))
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%v: %d bytes of %d, %v", sizes, len(got), len(content), err)
			}
			if conn.held != nil {
				t.Errorf("%v: a buffer is held at the end", sizes)
			}
		}
	}
}

func TestIdleConnectionsHoldNoBuffer(t *testing.T) {
	below := &pieces{rest: make([]byte, 3*bulkSize+10), sizes: []int{100, bulkSize, aheadSize, aheadSize}}
	conn := &aheadConn{Conn: below, buffers: &sync.Pool{New: func() any { return new([aheadSize]byte) }}}
	p := make([]byte, bulkSize)
	for {
		if _, err := conn.Read(p); err != nil {
			break
		}
	}
	want := []int{bulkSize, bulkSize, aheadSize, aheadSize}
	if len(below.asked) != len(want) {
		t.Fatalf("asked for %v, want %v", below.asked, want)
	}
	for i := range want {
		if below.asked[i] != want[i] {
			t.Errorf("asked for %v, want %v", below.asked, want)
		}
	}
}
