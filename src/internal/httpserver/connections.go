// SPDX-License-Identifier: Apache-2.0

package httpserver

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/socket"
)

const (
	// silence is how long a body or an answer may not move before its request ends.
	silence = time.Minute
	// settle is how long a connection is left alone that was accepted, or became idle: its next request may be on
	// its way.
	settle = 100 * time.Millisecond
	// sourceBits is the part of an IPv6 address that a network assigns; its owner chooses the rest.
	sourceBits = 64
)

// Connections are the open ones of a listener. There are never more than it has places for.
//
// A connection is idle while no handler runs for it: between two requests, and while it has sent nothing, or
// half a TLS handshake or half a header. When all places are taken, the one that has been idle for the longest
// gives way, but none within its first tenth of a second, nor one whose request has arrived and is not read yet.
// One that is served never does. New ones wait then.
//
// No address (of IPv6, no network of 64 bits) has more than three quarters of the places. Beyond that its own
// idle connections give way, and further ones are closed. So one address never keeps another out.
type Connections struct {
	places          int
	exempt          func(netip.Addr) bool
	silence, settle time.Duration

	// room has a value after a connection has become idle, or has ended.
	room chan struct{}

	mu      sync.Mutex
	open    map[*clientConn]struct{}
	held    map[netip.Prefix]int
	gaveWay int
	refused int
	closed  bool
}

// NewConnections makes so many places; 0: as many as where memory is no matter. Addresses that are exempt may
// have them all: they are proxies, and stand for many clients. exempt may be nil.
func NewConnections(places int, exempt func(netip.Addr) bool) *Connections {
	if exempt == nil {
		exempt = func(netip.Addr) bool { return false }
	}
	return &Connections{
		places: cmp.Or(places, mostConnections), exempt: exempt, silence: silence, settle: settle,
		room: make(chan struct{}, 1), open: map[*clientConn]struct{}{}, held: map[netip.Prefix]int{},
	}
}

// ConnectionCounts are numbers of connections.
type ConnectionCounts struct {
	// Places there are. Open connections have one, and Idle ones of those serve no request.
	Places, Open, Idle int
	// GaveWay were closed while they were idle; Refused were of an address with too many of them.
	GaveWay, Refused int
}

// Counts returns the numbers as they are now.
func (c *Connections) Counts() ConnectionCounts {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := ConnectionCounts{Places: c.places, Open: len(c.open), GaveWay: c.gaveWay, Refused: c.refused}
	for conn := range c.open {
		if !conn.busy {
			counts.Idle++
		}
	}
	return counts
}

// listener accepts connections that have a place.
func (c *Connections) listener(inner net.Listener) net.Listener { return &placeListener{inner, c} }

type placeListener struct {
	net.Listener
	places *Connections
}

// Accept implements [net.Listener].
func (l *placeListener) Accept() (net.Conn, error) {
	for {
		inner, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		conn := &clientConn{
			ProgressConn: &socket.ProgressConn{Conn: inner, Limit: l.places.silence}, places: l.places,
			from: sourceOf(inner.RemoteAddr()),
		}
		if l.places.admit(conn) {
			return conn, nil
		}
		_ = inner.Close()
	}
}

// Close implements [net.Listener].
func (l *placeListener) Close() error {
	l.places.mu.Lock()
	l.places.closed = true
	l.places.signal()
	l.places.mu.Unlock()
	return l.Listener.Close()
}

// sourceOf returns whose connection it is.
func sourceOf(address net.Addr) netip.Prefix {
	tcp, ok := address.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = sourceBits
	}
	prefix, _ := ip.Prefix(bits) // only bits that the address does not have are an error
	return prefix
}

// admit gives a connection its place, and waits for one where all are served. It reports false for one that is
// to be closed.
func (c *Connections) admit(conn *clientConn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	share := max(c.places*3/4, 1)
	if c.exempt(conn.from.Addr()) {
		share = c.places
	}
	if c.held[conn.from] >= share && !c.giveWay(func(other *clientConn) bool { return other.from == conn.from }) {
		c.refused++
		return false
	}
	for len(c.open) >= c.places && !c.closed {
		settled := time.Now().Add(-c.settle)
		if !c.giveWay(func(other *clientConn) bool { return !other.since.After(settled) }) {
			c.wait()
		}
	}
	if c.closed {
		return false
	}
	conn.since = time.Now()
	c.open[conn] = struct{}{}
	c.held[conn.from]++
	return true
}

// wait returns once there may be room, by a connection that ended or became idle, or that has settled. The lock
// is held, but not meanwhile: neither the signal nor the time is missed by who is late to wait.
func (c *Connections) wait() {
	c.mu.Unlock()
	defer c.mu.Lock()
	select {
	case <-c.room:
	case <-time.After(c.settle / 4):
	}
}

// signal ends a wait, or the next one.
func (c *Connections) signal() {
	select {
	case c.room <- struct{}{}:
	default:
	}
}

// giveWay closes the connection that has been idle for the longest, of those that may be closed. The lock is
// held.
func (c *Connections) giveWay(may func(*clientConn) bool) bool {
	for {
		var oldest *clientConn
		for conn := range c.open {
			if !conn.busy && may(conn) && (oldest == nil || conn.since.Before(oldest.since)) {
				oldest = conn
			}
		}
		switch {
		case oldest == nil:
			return false
		case !oldest.spared && socket.Pending(oldest.Conn):
			// A request has come that nobody has had the time to read.
			oldest.since, oldest.spared = time.Now(), true
			continue
		}
		c.remove(oldest)
		c.gaveWay++
		_ = oldest.Conn.Close()
		return true
	}
}

// remove frees a connection's place. The lock is held.
func (c *Connections) remove(conn *clientConn) {
	if _, has := c.open[conn]; !has {
		return
	}
	delete(c.open, conn)
	if c.held[conn.from]--; c.held[conn.from] == 0 {
		delete(c.held, conn.from)
	}
	c.signal()
}

// serve marks the connection of a request as served, while next runs and until its answer is on its way.
func (c *Connections) serve(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn := clientOf(r.Context()); conn != nil {
			c.mu.Lock()
			conn.busy = true
			c.mu.Unlock()
			conn.begin()
		}
		next.ServeHTTP(w, r)
	})
}

// rest marks a connection as idle, once its answer has been sent.
func (c *Connections) rest(conn *clientConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	conn.busy, conn.spared, conn.since = false, false, time.Now()
	c.signal()
}

// follow is told what becomes of a connection.
func (c *Connections) follow(conn net.Conn, state http.ConnState) {
	if state != http.StateIdle {
		return
	}
	if oci, ok := conn.(ociConn); ok {
		oci.header.reset()
	}
	if client := clientConnOf(conn); client != nil {
		c.rest(client)
	}
}

// clientOf returns the connection that a request came by; nil: it is not one of a [Group].
func clientOf(ctx context.Context) *clientConn {
	conn, _ := ctx.Value(connKey{}).(net.Conn)
	return clientConnOf(conn)
}

// clientConnOf takes off what is above it.
func clientConnOf(conn net.Conn) *clientConn {
	if above, ok := conn.(ociConn); ok {
		conn = above.Conn
	}
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	client, _ := conn.(*clientConn)
	return client
}
