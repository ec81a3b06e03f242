// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

const (
	relayBuffer = 32 << 10
	// relayQueue bounds what is under way in one direction: buffers of relayBuffer.
	relayQueue = 256
)

// Line is what lies between two places.
type Line struct {
	// RTT is the time there and back: each byte arrives half of it later, and a new connection's first byte a
	// whole one later still, which is the handshake.
	RTT time.Duration
	// Rate is how much all connections together bring to each end, in bytes a second; 0: as much as they can.
	Rate int64
	// Answers counts the bytes that come back; may be nil.
	Answers *atomic.Int64
}

// StartRelay listens on loopback and passes connections on to what is at the end of a line. It returns the
// address; target is asked when a connection comes.
func StartRelay(t testing.TB, line Line, target func() string) string {
	t.Helper()
	there, back := line.limit(), line.limit()
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
			running.Go(func() { relay(t, near, target(), line, there, back) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		running.Wait()
	})
	return listener.Addr().String()
}

// limit is that of one direction; nil: there is none.
func (l Line) limit() *rate.Limiter {
	if l.Rate == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(l.Rate), relayBuffer)
}

func relay(t testing.TB, near net.Conn, target string, line Line, there, back *rate.Limiter) {
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
	both.Go(func() {
		delay(far, limited{t.Context(), near, there, nil}, line.RTT/2, time.Now().Add(line.RTT))
	})
	both.Go(func() { delay(near, limited{t.Context(), far, back, line.Answers}, line.RTT/2, time.Time{}) })
	both.Wait()
}

// limited reads no faster than a limit that it may share with others; nil: there is none.
type limited struct {
	ctx context.Context //nolint:containedctx // that of the test, whose end is the reader's
	io.ReadCloser
	limit   *rate.Limiter
	counter *atomic.Int64 // may be nil
}

func (l limited) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	if l.counter != nil {
		l.counter.Add(int64(n))
	}
	if l.limit != nil && n > 0 {
		// It ends early with the test only.
		_ = l.limit.WaitN(l.ctx, n)
	}
	return n, err
}

type parcel struct {
	content []byte
	due     time.Time
	err     error
}

// delay copies until the source ends; nothing arrives before the connection is there. The end of the source
// arrives late, too.
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
