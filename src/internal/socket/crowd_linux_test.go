// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// pair returns the two ends of a connection. The first is a member of the crowd, the other does not read.
func pair(t *testing.T, crowd *Crowd) (ours, theirs net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	theirs, err = net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = theirs.Close() })
	tcp, _ := theirs.(*net.TCPConn)
	if err := tcp.SetReadBuffer(64 << 10); err != nil { // what their kernel holds is bounded, too
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	ours = crowd.Join(accepted)
	t.Cleanup(func() { _ = ours.Close() })
	return ours, theirs
}

// fill writes until nothing more is taken.
func fill(conn net.Conn) (taken int, err error) {
	for {
		n, err := conn.Write(make([]byte, 16<<10))
		if taken += n; err != nil {
			return taken, err
		}
	}
}

// TestWhoDoesNotReadHoldsLittle in a crowd: the kernel takes a bounded part of what nobody reads, and all of it
// arrives once somebody does. Who has left is no crowd.
func TestWhoDoesNotReadHoldsLittle(t *testing.T) {
	crowd := &Crowd{}
	for range few {
		ours, _ := pair(t, crowd)
		_ = ours.Close()
		_ = ours.Close()
	}
	for range few {
		pair(t, crowd)
	}
	if open := crowd.open.Load(); open != few {
		t.Fatalf("%d are open", open)
	}
	ours, theirs := pair(t, crowd)
	_ = ours.SetWriteDeadline(time.Now().Add(time.Second))
	taken, err := fill(ours)
	if !errors.Is(err, os.ErrDeadlineExceeded) || taken > 1<<20 {
		t.Errorf("%d KiB are taken of what nobody reads (%v)", taken>>10, err)
	}
	_ = ours.SetWriteDeadline(time.Time{})
	const more = 20 << 20
	go func() {
		_, _ = ours.Write(make([]byte, more))
		_ = ours.Close()
	}()
	if n, err := io.Copy(io.Discard, theirs); err != nil || n != int64(taken+more) {
		t.Errorf("%d bytes arrived of %d: %v", n, taken+more, err)
	}
}

// TestWhatIsNotReadHoldsLittle in a crowd: peers send a bounded part of what nobody reads here. Far ones do so
// only in a large crowd.
func TestWhatIsNotReadHoldsLittle(t *testing.T) {
	for _, crowd := range []*Crowd{{}, {Far: true}} {
		for range map[bool]int{false: few, true: many}[crowd.Far] {
			pair(t, crowd)
		}
		ours, theirs := pair(t, crowd)
		tcp, _ := theirs.(*net.TCPConn)
		if err := tcp.SetWriteBuffer(64 << 10); err != nil { // what their kernel holds is bounded, too
			t.Fatal(err)
		}
		_ = theirs.SetWriteDeadline(time.Now().Add(time.Second))
		taken, err := fill(theirs)
		if !errors.Is(err, os.ErrDeadlineExceeded) || taken > 1<<20 {
			t.Errorf("far: %v: %d KiB are taken of what nobody reads (%v)", crowd.Far, taken>>10, err)
		}
		_ = theirs.Close()
		if n, err := io.Copy(io.Discard, ours); err != nil || n != int64(taken) {
			t.Errorf("far: %v: %d bytes arrived of %d: %v", crowd.Far, n, taken, err)
		}
	}
}
