// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// silenceLimit is how long a registry may be silent: before an answer's header is complete, in the
	// middle of an answer's body, and while it takes no more of a request. Nothing that moves is cut.
	silenceLimit = time.Minute
	// commitFactor is how much longer it may be silent while it puts a blob together that may have many
	// gigabytes: it hashes and moves what it has before it answers (distribution's own recipe for nginx
	// says 900 seconds).
	commitFactor = 15
	// noticeFraction of the limit is when a body that does not move begins to count as a request that
	// waits.
	noticeFraction = 12
	// maxInformational is how many 1xx answers may come before the answer.
	maxInformational = 8
)

// Silence is the error for a registry that stopped to answer. It is a timeout.
type Silence struct{ what string }

func (e *Silence) Error() string { return "the registry " + e.what }

// Timeout implements [net.Error].
func (*Silence) Timeout() bool { return true }

// Temporary implements [net.Error].
func (*Silence) Temporary() bool { return true }

var errInformational = errors.New("the registry sends informational answers (1xx) and no final one")

// bounded ends a request whose registry is silent for too long.
type bounded struct {
	next    http.RoundTripper
	limit   time.Duration
	waiting *atomic.Int64
}

func (t bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	limit := t.limit
	if callOf(req.Context()).Commits {
		limit *= commitFactor
	}
	ctx, end := context.WithCancelCause(req.Context())
	await := newAlarm(func() { end(&Silence{"did not answer in " + limit.String()}) })
	informational := 0
	trace := &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) { await.set(limit) },
		Got1xxResponse: func(int, textproto.MIMEHeader) error {
			if informational++; informational > maxInformational {
				return errInformational
			}
			return nil
		},
	}
	resp, err := t.next.RoundTrip(req.WithContext(httptrace.WithClientTrace(ctx, trace)))
	await.off()
	err = silenced(ctx, err)
	switch {
	case err != nil:
		if resp != nil {
			// It answered while its connection was being closed: the rest of the answer cannot be read.
			_ = resp.Body.Close()
		}
		end(nil)
		return nil, err
	case resp.Body == http.NoBody:
		end(nil)
	default:
		resp.Body = &flowing{ReadCloser: resp.Body, ctx: ctx, end: end, limit: t.limit, waiting: t.waiting}
	}
	return resp, nil
}

// silenced puts the silence that ended a context in place of what came of it.
func silenced(ctx context.Context, err error) error {
	if silence, ok := errors.AsType[*Silence](context.Cause(ctx)); ok {
		return silence
	}
	return err
}

// alarm is a timer that can be called off for good.
type alarm struct {
	mu    sync.Mutex
	timer *time.Timer
	ring  func()
	gone  bool
}

func newAlarm(ring func()) *alarm { return &alarm{ring: ring} }

func (a *alarm) set(after time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.timer != nil {
		a.timer.Stop()
	}
	if !a.gone {
		a.timer = time.AfterFunc(after, a.ring)
	}
}

func (a *alarm) off() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gone = true
	if a.timer != nil {
		a.timer.Stop()
	}
}

// flowing is the body of an answer, which ends with an error when nothing of it comes for too long.
type flowing struct {
	io.ReadCloser
	ctx     context.Context
	end     context.CancelCauseFunc
	limit   time.Duration
	waiting *atomic.Int64

	timer *time.Timer
	mu    sync.Mutex
	state flow
}

// flow is what a body does at the moment.
type flow int

const (
	resting flow = iota // nobody reads
	reading
	stalled // somebody has read for so long that the request counts as one that waits
)

func (b *flowing) Read(p []byte) (int, error) {
	b.turn(reading)
	n, err := b.ReadCloser.Read(p)
	b.turn(resting)
	if err != nil && !errors.Is(err, io.EOF) {
		err = silenced(b.ctx, err)
	}
	return n, err
}

// turn notes what the body does from now on, and sets the timer for it.
func (b *flowing) turn(to flow) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == stalled {
		b.waiting.Add(-1)
	}
	b.state = to
	notice := b.limit / noticeFraction
	switch {
	case to == resting:
		b.timer.Stop()
	case b.timer == nil:
		b.timer = time.AfterFunc(notice, b.overdue)
	default:
		b.timer.Reset(notice)
	}
}

// overdue runs when nothing has come for a while: the first time the request counts as one that waits, the
// second time it ends.
func (b *flowing) overdue() {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.state {
	case reading:
		b.state = stalled
		b.waiting.Add(1)
		b.timer.Reset(b.limit - b.limit/noticeFraction)
	case stalled:
		b.end(&Silence{"stopped in the middle of its answer for " + b.limit.String()})
	}
}

// Close implements [io.Closer].
func (b *flowing) Close() error {
	err := b.ReadCloser.Close()
	b.end(nil)
	return err
}
