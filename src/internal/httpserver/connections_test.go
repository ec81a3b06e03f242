// SPDX-License-Identifier: Apache-2.0

package httpserver

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/socket"
)

// TestIdleConnectionsGiveWay: the one that has been idle for the longest, whatever it has sent so far.
func TestIdleConnectionsGiveWay(t *testing.T) {
	for name, begin := range map[string]string{
		"after an answer":  "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"without a word":   "",
		"half a header":    "GET / HTTP/1.1\r\nHost: x\r\n",
		"half a request":   "GE",
		"half a handshake": "\x16\x03\x01\x00",
	} {
		t.Run(name, func(t *testing.T) {
			c := newCrowd(t, NewConnections(4, nil))
			var idle []*client
			for i := range 4 {
				cl := c.from(fmt.Sprintf("127.0.1.%d", i+1))
				idle = append(idle, cl)
				if _, err := io.WriteString(cl, begin); err != nil {
					t.Fatal(err)
				}
				if strings.HasSuffix(begin, "\r\n\r\n") {
					if err := cl.answered(); err != nil {
						t.Fatal(err)
					}
				}
				// A connection on which something has arrived that is not read yet is spared once.
				sent := int64((i + 1) * len(begin))
				await(t, "the connection is idle", func() bool {
					counts := c.places.Counts()
					return counts.Open == i+1 && counts.Idle == i+1 && c.read.Load() == sent
				})
			}
			c.ask("127.0.2.1")
			if !idle[0].gone() {
				t.Error("the oldest idle connection is still there")
			}
			if got := c.places.Counts(); got.GaveWay != 1 || got.Open != 4 {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestNewConnectionsAreLeftAlone: however many come after it, a connection has a second to send its request.
func TestNewConnectionsAreLeftAlone(t *testing.T) {
	places := NewConnections(4, nil)
	places.settle = time.Minute
	c := newCrowd(t, places)
	honest := c.from("127.0.2.1")
	for i := range 20 {
		c.from(fmt.Sprintf("127.0.1.%d", i+1)) // they wait for a place
	}
	if err := errors.Join(honest.send("/"), honest.answered(), honest.send("/"), honest.answered()); err != nil {
		t.Errorf("the honest connection: %v", err)
	}
}

// TestServedConnectionsStay: a new one waits until one of them is idle.
func TestServedConnectionsStay(t *testing.T) {
	c := newCrowd(t, NewConnections(2, nil))
	var served []*client
	for i := range 2 {
		cl := c.from(fmt.Sprintf("127.0.1.%d", i+1))
		if err := cl.send("/held"); err != nil {
			t.Fatal(err)
		}
		<-c.held
		served = append(served, cl)
	}
	waits := c.from("127.0.2.1")
	if err := waits.send("/"); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() { answered <- waits.answered() }()
	if got := c.places.Counts(); got.Open != 2 || got.Idle != 0 {
		t.Errorf("%+v", got)
	}
	c.finish <- struct{}{}
	if err := <-answered; err != nil {
		t.Error(err)
	}
	c.finish <- struct{}{}
	whole := 0
	for _, each := range served {
		if each.answered() == nil {
			whole++
		}
	}
	if whole != 2 {
		t.Errorf("%d of 2 answers arrived whole", whole)
	}
}

// TestOneAddressHasAShare: three quarters of the places, however many connections it opens. Others get in at
// once, and what it opens beyond is closed, or takes the place of its own idle ones.
func TestOneAddressHasAShare(t *testing.T) {
	c := newCrowd(t, NewConnections(8, nil))
	for range 6 {
		if err := c.from("127.0.1.1").send("/held"); err != nil {
			t.Fatal(err)
		}
		<-c.held
	}
	for range 20 {
		if !c.from("127.0.1.1").gone() {
			t.Fatal("an address has more than its share")
		}
	}
	first := c.ask("127.0.2.1")
	for range 50 {
		c.ask("127.0.2.2")
	}
	if err := errors.Join(first.send("/"), first.answered()); err == nil {
		t.Log("the first honest connection was spared") // it may give way to the others: it was idle
	}
	if got := c.places.Counts(); got.Refused != 20 || got.Open > 8 {
		t.Errorf("%+v", got)
	}
	for range 6 {
		c.finish <- struct{}{}
	}
}

// TestAnAddressBeyondItsShareClosesItsOwn idle connections, and nobody else's.
func TestAnAddressBeyondItsShareClosesItsOwn(t *testing.T) {
	c := newCrowd(t, NewConnections(8, nil))
	honest := c.ask("127.0.2.1")
	for range 100 {
		c.ask("127.0.1.1")
	}
	if err := errors.Join(honest.send("/"), honest.answered()); err != nil {
		t.Errorf("the honest connection: %v", err)
	}
}

// TestProxiesInFrontMayHaveAll places: they stand for many clients.
func TestProxiesInFrontMayHaveAll(t *testing.T) {
	c := newCrowd(t, NewConnections(4, func(a netip.Addr) bool { return a == netip.MustParseAddr("127.0.1.1") }))
	for range 4 {
		if err := c.from("127.0.1.1").send("/held"); err != nil {
			t.Fatal(err)
		}
		<-c.held
	}
	for range 4 {
		c.finish <- struct{}{}
	}
}

func TestSourceOf(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.7:1": "192.0.2.7/32", "[2001:db8:1:2:3:4:5:6]:1": "2001:db8:1:2::/64", "[::ffff:192.0.2.7]:1": "192.0.2.7/32", "[fe80::1%eth0]:1": "fe80::/64",
	} {
		tcp := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address))
		if got := sourceOf(tcp); got.String() != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

// TestNobodyWaitsForEver: a connection that came before the idle one had settled is let in once it has, also
// where nothing else happens, and however late the server gets to wait: its processor is taken from it.
func TestNobodyWaitsForEver(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8 * runtime.NumCPU()))
	const servers, rounds = 16, 20
	admitted := make(chan struct{}, servers)
	for range servers {
		go func() {
			places := NewConnections(1, nil)
			places.settle = 0                     // so that it looks often
			network := func(i int) netip.Prefix { // not the one of the connection before
				return netip.PrefixFrom(netip.AddrFrom4([4]byte{127, 0, 0, byte(i % 2)}), 32)
			}
			for i := range rounds {
				ours, theirs := net.Pipe()
				_ = theirs.Close()
				conn := &clientConn{ProgressConn: &socket.ProgressConn{Conn: ours}, places: places, from: network(i)}
				places.admit(conn)
				places.mu.Lock()
				conn.since = time.Now().Add(time.Millisecond)
				places.mu.Unlock()
			}
			admitted <- struct{}{}
		}()
	}
	for range servers {
		select {
		case <-admitted:
		case <-time.After(time.Minute):
			t.Fatal("a connection waits, and the only other one has been idle for long")
		}
	}
}
