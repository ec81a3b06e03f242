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
	"time"
)

// continueTimeout is how long a registry may take to ask for a body before it is sent unasked.
const continueTimeout = time.Second

// hold keeps a body that is announced (RFC 9110, section 10.1.1) until the registry asks for it, so that it is untouched when the
// registry refuses the request instead. net/http would then send it all the same to keep the connection, or has to be told to end
// every connection after one body; here only the connection of a refused request ends.
type hold struct{ next http.RoundTripper }

func (t hold) RoundTrip(req *http.Request) (*http.Response, error) {
	lent, ok := BodyOf(req.Body)
	if !ok || req.Header.Get("Expect") == "" {
		return t.next.RoundTrip(req)
	}
	lent.Hold()
	patience := time.AfterFunc(continueTimeout, lent.Ask)
	patience.Stop()
	trace := &httptrace.ClientTrace{
		GotConn:        func(got httptrace.GotConnInfo) { lent.Broken(closed(got.Conn)) },
		WroteHeaders:   func() { patience.Reset(continueTimeout) },
		Got100Continue: lent.Ask,
	}
	resp, err := t.next.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	patience.Stop()
	if err != nil {
		return nil, err
	}
	resp.Body = &ending{ReadCloser: resp.Body, loan: lent}
	return resp, nil
}

// watched is a connection that says when it is closed: net/http waits for the reader of a body before it says so.
type watched struct {
	net.Conn
	closed chan struct{}
	once   sync.Once
}

func (c *watched) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

func watch(dial dialer) dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &watched{Conn: conn, closed: make(chan struct{})}, nil
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

// ending ends the loan of a body that was never asked for, once the answer that came in its place has been read.
type ending struct {
	io.ReadCloser
	loan *Body
}

func (e *ending) Close() error {
	err := e.ReadCloser.Close()
	_ = e.loan.Close()
	return err
}
