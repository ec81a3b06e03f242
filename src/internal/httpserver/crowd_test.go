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
	"sync/atomic"
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
	// read is how many bytes the server has read.
	read atomic.Int64
}

// countingListener accepts connections whose bytes are counted as they are read.
type countingListener struct {
	net.Listener
	read *atomic.Int64
}

func (l countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return countingConn{conn.(*net.TCPConn), l.read}, nil
}

type countingConn struct {
	*net.TCPConn
	read *atomic.Int64
}

func (c countingConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	c.read.Add(int64(n))
	return n, err
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
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.server = &Group{logger: quiet()}
	c.server.add(Listener{Name: "test", Handler: handler, Connections: places}, countingListener{listener, &c.read})
	start(t, c.server, time.Second)
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
	_ = cl.SetReadDeadline(time.Now().Add(time.Minute))
	_, err := cl.answers.ReadByte()
	return err != nil && !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err)
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// await polls until something is so.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !so() {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}
