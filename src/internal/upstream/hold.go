// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/socket"
)

const (
	// continueTimeout is how long a registry may take to ask for a body before it is sent unasked.
	continueTimeout = time.Second
	// muteTimeout is the same for a registry that never asked so far: long enough for one nearby to refuse
	// a request.
	muteTimeout = 50 * time.Millisecond
	// expectMemory is how long a registry that refused to be announced a body (417) is not announced any.
	expectMemory = 10 * time.Minute
)

// manners is what a registry was seen to do with "Expect: 100-continue" (quirk U12).
type manners struct {
	// mute: it has never asked for a body, but took one unasked.
	mute atomic.Bool
	// until when it is announced no body, in nanoseconds of Unix time.
	until atomic.Int64
}

func (m *manners) refuses() bool { return time.Now().UnixNano() < m.until.Load() }

func (m *manners) refused() { m.until.Store(time.Now().Add(expectMemory).UnixNano()) }

func (m *manners) patience() time.Duration {
	if m.mute.Load() {
		return muteTimeout
	}
	return continueTimeout
}

// hold keeps a body that is announced (RFC 9110, section 10.1.1) until the registry asks for it, so that it
// is untouched when the registry refuses the request instead. net/http would then send it all the same to
// keep the connection, or has to be told to end every connection after one body; here only the connection
// of a refused request ends.
type hold struct {
	next    http.RoundTripper
	manners *manners
}

func (t hold) RoundTrip(req *http.Request) (*http.Response, error) {
	body, ok := req.Body.(*Body)
	if !ok || req.Header.Get("Expect") == "" {
		return t.next.RoundTrip(req)
	}
	if t.manners.refuses() {
		return t.next.RoundTrip(unannounced(req))
	}
	resp, err := t.announce(req, body)
	if err != nil || resp.StatusCode != http.StatusExpectationFailed {
		return resp, err
	}
	// What cannot meet the expectation is asked without it (RFC 9110, sections 10.1.1 and 15.5.18).
	t.manners.refused()
	again, ok := RepeatBody(req)
	if !ok {
		return resp, nil
	}
	drain(resp)
	return t.next.RoundTrip(unannounced(again))
}

func (t hold) announce(req *http.Request, body *Body) (*http.Response, error) {
	body.Hold()
	var unasked, asked atomic.Bool
	patience := time.AfterFunc(continueTimeout, func() {
		unasked.Store(true)
		body.Ask()
	})
	patience.Stop()
	trace := &httptrace.ClientTrace{
		GotConn:      func(got httptrace.GotConnInfo) { body.Broken(closed(got.Conn)) },
		WroteHeaders: func() { patience.Reset(t.manners.patience()) },
		Got100Continue: func() {
			asked.Store(true)
			t.manners.mute.Store(false)
			body.Ask()
		},
	}
	resp, err := t.next.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	patience.Stop()
	if err != nil {
		return nil, err
	}
	if unasked.Load() && !asked.Load() && resp.StatusCode < 300 {
		t.manners.mute.Store(true)
	}
	resp.Body = &ending{ReadCloser: resp.Body, body: body}
	return resp, nil
}

// unannounced is a request whose body is sent without asking.
func unannounced(req *http.Request) *http.Request {
	req = withHeaders(req)
	req.Header.Del("Expect")
	return req
}

// watched is a connection that says when it is closed, because net/http waits for the reader of a body
// before it says so.
type watched struct {
	*socket.ProgressConn
	closed chan struct{}
	once   sync.Once
}

func (c *watched) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.ProgressConn.Close()
}

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

func watch(dial dialer, limit time.Duration) dialer {
	open := &socket.Crowd{Far: true}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &watched{ProgressConn: &socket.ProgressConn{Conn: open.Join(conn), Limit: limit},
			closed: make(chan struct{})}, nil
	}
}

// closed returns the channel that says so; nil, which never does, for a connection that is not watched.
func closed(conn net.Conn) <-chan struct{} {
	if encrypted, ok := conn.(*tls.Conn); ok {
		conn = encrypted.NetConn()
	}
	if w, ok := conn.(*watched); ok {
		return w.closed
	}
	return nil
}

// ending closes a body that was never asked for, once the answer that came in its place has been read.
type ending struct {
	io.ReadCloser
	body *Body
}

func (e *ending) Close() error {
	err := e.ReadCloser.Close()
	_ = e.body.Close()
	return err
}
