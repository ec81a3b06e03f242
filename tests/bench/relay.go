// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

const (
	relayBuffer = 32 << 10
	// relayQueue bounds what is under way in one direction: buffers of relayBuffer.
	relayQueue = 256
)

// StartRelay listens on loopback and passes connections on to what is rtt away: each byte arrives half of it later, and a new
// connection's first byte a whole one later still, which is the handshake. The rate is not limited. It returns the address; target
// is asked when a connection comes.
func StartRelay(t testing.TB, rtt time.Duration, target func() string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { relay(t, near, target(), rtt) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		running.Wait()
	})
	return listener.Addr().String()
}

func relay(t testing.TB, near net.Conn, target string, rtt time.Duration) {
	defer near.Close()
	var dialer net.Dialer
	far, err := dialer.DialContext(t.Context(), "tcp", target)
	if err != nil {
		return
	}
	defer far.Close()
	// The test's end ends connections that clients keep.
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-t.Context().Done():
			near.Close()
			far.Close()
		case <-stop:
		}
	}()
	var both sync.WaitGroup
	both.Go(func() { delay(far, near, rtt/2, time.Now().Add(rtt)) })
	both.Go(func() { delay(near, far, rtt/2, time.Time{}) })
	both.Wait()
}

type parcel struct {
	content []byte
	due     time.Time
	err     error
}

// delay copies until the source ends; nothing arrives before the connection is there. The end of the source arrives late, too.
func delay(to io.Writer, from io.Reader, late time.Duration, connected time.Time) {
	queue := make(chan parcel, relayQueue)
	go func() {
		defer close(queue)
		for {
			content := make([]byte, relayBuffer)
			n, err := from.Read(content)
			due := time.Now()
			if due.Before(connected) {
				due = connected
			}
			queue <- parcel{content[:n], due.Add(late), err}
			if err != nil {
				return
			}
		}
	}()
	var broken error
	for p := range queue {
		if broken != nil {
			continue
		}
		<-time.After(time.Until(p.due))
		if _, broken = to.Write(p.content); broken != nil {
			closeBoth(to, from)
			continue
		}
		if errors.Is(p.err, io.EOF) {
			if half, ok := to.(*net.TCPConn); ok {
				_ = half.CloseWrite()
			}
		} else if p.err != nil {
			closeBoth(to, from)
		}
	}
}

// closeBoth ends a connection on both sides, so that the other direction ends, too.
func closeBoth(ends ...any) {
	for _, end := range ends {
		if closer, ok := end.(io.Closer); ok {
			_ = closer.Close()
		}
	}
}
