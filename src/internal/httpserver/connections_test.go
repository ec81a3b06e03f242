// SPDX-License-Identifier: Apache-2.0

package httpserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// crowd is a server with few places, and clients of many addresses: all of 127.0.0.0/8 is loopback.
type crowd struct {
	*testing.T
	places *Connections
	server *Group
	// held are requests to /held that are being served; each ends with a value of finish.
	held   chan struct{}
	finish chan struct{}
}

func newCrowd(t *testing.T, places *Connections) *crowd {
	t.Helper()
	if places.settle == settle {
		places.settle = 10 * time.Millisecond
	}
	c := &crowd{T: t, places: places, held: make(chan struct{}, 100), finish: make(chan struct{})}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/held" {
			c.held <- struct{}{}
			<-c.finish
		}
		_, _ = io.WriteString(w, "ok")
	})
	server, err := Listen(t.Context(), quiet(), Listener{Name: "test", Address: "127.0.0.1:0", Handler: handler, Connections: places})
	if err != nil {
		t.Fatal(err)
	}
	c.server = server
	start(t, server, time.Second)
	return c
}

// client is a connection from an address.
type client struct {
	net.Conn
	answers *bufio.Reader
}

func (c *crowd) from(address string) *client {
	c.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}, Timeout: 10 * time.Second}
	conn, err := dialer.DialContext(c.Context(), "tcp", c.server.listeners[0].Addr().String())
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() { _ = conn.Close() })
	return &client{conn, bufio.NewReader(conn)}
}

func (cl *client) send(path string) error {
	_, err := fmt.Fprintf(cl, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
	return err
}

func (cl *client) answered() error {
	response, err := http.ReadResponse(cl.answers, nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// ask makes a request that has to be answered.
func (c *crowd) ask(from string) *client {
	c.Helper()
	cl := c.from(from)
	if err := errors.Join(cl.send("/"), cl.answered()); err != nil {
		c.Fatalf("from %s: %v", from, err)
	}
	return cl
}

// gone reports whether the server has closed the connection.
func (cl *client) gone() bool {
	_ = cl.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, err := cl.answers.ReadByte()
	return err != nil && !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err)
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// TestIdleConnectionsGiveWay: the one that has been idle for the longest, whatever it has sent so far.
func TestIdleConnectionsGiveWay(t *testing.T) {
	for name, begin := range map[string]string{
		"after an answer":  "",
		"without a word":   "-",
		"half a header":    "GET / HTTP/1.1\r\nHost: x\r\n",
		"half a request":   "GE",
		"half a handshake": "\x16\x03\x01\x00",
	} {
		t.Run(name, func(t *testing.T) {
			c := newCrowd(t, NewConnections(4, nil))
			var idle []*client
			for i := range 4 {
				from := fmt.Sprintf("127.0.1.%d", i+1)
				if begin == "" {
					idle = append(idle, c.ask(from))
					continue
				}
				cl := c.from(from)
				_, _ = io.WriteString(cl, strings.TrimPrefix(begin, "-"))
				idle = append(idle, cl)
				await(t, "the connection is there", func() bool { return c.places.Counts().Open == i+1 })
			}
			await(t, "all are idle", func() bool { return c.places.Counts().Idle == 4 })
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

// await polls until something is so.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !so() {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}
