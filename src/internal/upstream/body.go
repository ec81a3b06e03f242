// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// ErrBodyRepeated is what an attempt reads whose body went to the next attempt meanwhile.
var ErrBodyRepeated = errors.New("another attempt has the request body")

// Body is a request body as one attempt has it.
type Body struct {
	source *source
	ended  chan struct{} // closed once the attempt no longer has the body
	asked  chan struct{} // closed once a body that is held back may be read; nil: it is not held back
	ask    sync.Once
	broken <-chan struct{} // closed once there is nobody left to ask for it
}

// source is what the attempts with one body share.
type source struct {
	io.Reader
	failed atomic.Bool // the reader failed
	mu     sync.Mutex
	begun  bool
	holder *Body // of the attempt that has the body; nil: none has
}

// NewBody makes a body that several attempts can have of one that cannot be repeated. It never closes the
// reader: net/http closes a request's body after every attempt.
func NewBody(reader io.Reader) io.ReadCloser {
	b, _ := (&source{Reader: reader}).assign()
	return b
}

// assign takes the body from the attempt that has it for another one, unless the body has begun.
func (s *source) assign() (*Body, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun {
		return nil, false
	}
	s.end()
	s.holder = &Body{source: s, ended: make(chan struct{})}
	return s.holder, true
}

// end takes the body from the attempt that has it. The lock is held.
func (s *source) end() {
	if s.holder != nil {
		close(s.holder.ended)
		s.holder = nil
	}
}

// Hold makes readers wait for [Body.Ask]. It must be called before the attempt begins.
func (b *Body) Hold() { b.asked = make(chan struct{}) }

// Broken makes readers of a body that is held back give up once the channel is closed. It must be called
// before they begin.
func (b *Body) Broken(closed <-chan struct{}) { b.broken = closed }

// Ask lets readers of a body go on that is held back. It may be called more than once.
func (b *Body) Ask() { b.ask.Do(func() { close(b.asked) }) }

// Read implements [io.Reader].
func (b *Body) Read(p []byte) (int, error) {
	if err := b.begin(); err != nil {
		return 0, err
	}
	n, err := b.source.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.source.failed.Store(true)
	}
	return n, err
}

// begin waits until the body may be read. Once it has begun, no other attempt gets it.
func (b *Body) begin() error {
	if b.asked != nil {
		select {
		case <-b.asked:
		case <-b.ended:
			return ErrBodyRepeated
		case <-b.broken:
			return ErrBodyRepeated
		}
	}
	b.source.mu.Lock()
	defer b.source.mu.Unlock()
	if b.source.holder != b {
		return ErrBodyRepeated
	}
	b.source.begun = true
	return nil
}

// Close implements [io.Closer]; no attempt has a body then that has not begun. The reader stays open.
func (b *Body) Close() error {
	b.source.mu.Lock()
	defer b.source.mu.Unlock()
	if b.source.holder == b && !b.source.begun {
		b.source.end()
	}
	return nil
}

// RepeatBody returns a request to make once more: a clone with the same body, where there was none or no
// attempt has read from it yet. A goroutine of net/http that still reads for the earlier attempt
// gets [ErrBodyRepeated] and no byte.
func RepeatBody(req *http.Request) (*http.Request, bool) {
	again := req.Clone(req.Context())
	if req.Body == nil || req.Body == http.NoBody {
		return again, true
	}
	body, ok := req.Body.(*Body)
	if !ok {
		return nil, false
	}
	next, ok := body.source.assign()
	if !ok {
		return nil, false
	}
	again.Body = next
	return again, true
}
