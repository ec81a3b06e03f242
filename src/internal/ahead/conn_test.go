// SPDX-License-Identifier: Apache-2.0

package ahead

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

// pieces is a connection that gives what it has in pieces of changing sizes.
type pieces struct {
	net.Conn
	rest  []byte
	sizes []int
	asked []int
}

func (c *pieces) Read(p []byte) (int, error) { return c.both(p, nil) }

func (c *pieces) both(first, second []byte) (int, error) {
	c.asked = append(c.asked, len(first)+len(second))
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	size := c.sizes[0]
	c.sizes = append(c.sizes[1:], size)
	piece := c.rest[:min(size, len(c.rest))]
	n := copy(first, piece)
	n += copy(second, piece[n:])
	c.rest = c.rest[n:]
	return n, nil
}

// ahead reads it ahead, in a lane or not.
func (c *pieces) ahead(inLane bool) *conn {
	made := &conn{Conn: c, both: c.both, spills: spills{buffersOf(narrow), buffersOf(wide)}}
	made.widen(inLane)
	return made
}

func random(t testing.TB, bytes int) []byte {
	t.Helper()
	content := make([]byte, bytes)
	_, _ = rand.Read(content)
	return content
}

// readers read in ways that differ in the sizes that they ask for.
func readers() []func(io.Reader) io.Reader {
	return []func(io.Reader) io.Reader{
		func(r io.Reader) io.Reader { return r },
		func(r io.Reader) io.Reader { return iotest.HalfReader(r) },
		func(r io.Reader) io.Reader { return io.MultiReader(io.LimitReader(r, 4096), io.LimitReader(r, 9), r) },
	}
}

func TestNothingIsLostAhead(t *testing.T) {
	content := random(t, 1<<20)
	for _, sizes := range [][]int{{1, 5000, 70000, 4096, 3}, {1 << 20}, {4096, 100, 65536}, {7}} {
		for _, reader := range readers() {
			for _, inLane := range []bool{true, false} {
				conn := (&pieces{rest: content, sizes: sizes}).ahead(inLane)
				got, err := io.ReadAll(reader(conn))
				if err != nil || !bytes.Equal(got, content) {
					t.Errorf("%v: %d bytes of %d, %v", sizes, len(got), len(content), err)
				}
				if conn.spill != nil || conn.waiting() != 0 {
					t.Errorf("%v: a buffer is held at the end, with %d bytes", sizes, conn.waiting())
				}
			}
		}
	}
}

func TestIdleConnectionsHoldNoBuffer(t *testing.T) {
	below := &pieces{rest: make([]byte, 4*bulkSize+10), sizes: []int{100, bulkSize, 2 * bulkSize, 2 * bulkSize}}
	conn := below.ahead(false)
	p := make([]byte, bulkSize)
	for {
		if _, err := conn.Read(p); err != nil {
			break
		}
	}
	const more = bulkSize + narrow
	if want := []int{bulkSize, bulkSize, more, more, bulkSize}; !slices.Equal(below.asked, want) {
		t.Errorf("asked for %v, want %v", below.asked, want)
	}
}

func TestWhoWaitsForTheNextRequestHoldsNoBuffer(t *testing.T) {
	below := &pieces{rest: make([]byte, 2*bulkSize+3), sizes: []int{bulkSize, bulkSize, 1}}
	conn := below.ahead(true)
	for _, asked := range []int{bulkSize, bulkSize, 1, bulkSize} {
		if _, err := conn.Read(make([]byte, asked)); err != nil {
			t.Fatal(err)
		}
	}
	if want := []int{bulkSize, bulkSize + wide, 1, bulkSize}; !slices.Equal(below.asked, want) {
		t.Errorf("asked for %v, want %v", below.asked, want)
	}
}

// connected gives both ends of a connection on loopback; the second is read ahead.
func connected(t *testing.T) (near net.Conn, far *conn) {
	t.Helper()
	below, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer below.Close()
	near, err = (&net.Dialer{}).DialContext(t.Context(), "tcp", below.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := Listen(below).Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); accepted.Close() })
	return near, accepted.(*conn)
}

func TestAheadOfARealConnection(t *testing.T) {
	content := random(t, 1<<20)
	for _, reader := range readers() {
		near, far := connected(t)
		var sent sync.WaitGroup
		sent.Go(func() {
			_, err := near.Write(content)
			if err = errors.Join(err, near.Close()); err != nil {
				t.Error(err)
			}
		})
		got, err := io.ReadAll(reader(far))
		sent.Wait()
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes of %d, %v", len(got), len(content), err)
		}
	}
}

// net/http ends a read that waits by a deadline, and goes on with the connection afterwards.
func TestADeadlineAhead(t *testing.T) {
	near, far := connected(t)
	piece := random(t, bulkSize)
	if _, err := near.Write(piece); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, bulkSize)
	if _, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, piece) {
		t.Fatal(err)
	}
	far.bulk = true // also where the kernel gave the piece in parts
	if err := far.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	var timeout net.Error
	if n, err := far.Read(got); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("%d bytes and %v in place of a timeout", n, err)
	}
	if err := far.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := near.Write(piece); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, piece) {
		t.Errorf("after it: %v", err)
	}
}

func TestABrokenConnectionAhead(t *testing.T) {
	near, far := connected(t)
	far.bulk = true
	if err := near.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	near.Close()
	var broken *net.OpError
	if n, err := far.Read(make([]byte, bulkSize)); n != 0 || !errors.As(err, &broken) {
		t.Errorf("%d bytes and %v in place of an error of the network", n, err)
	}
	far.Close()
	far.bulk = true
	if n, err := far.Read(make([]byte, bulkSize)); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("%d bytes and %v in place of the end", n, err)
	}
}
