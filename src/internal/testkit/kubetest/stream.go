// SPDX-License-Identifier: Apache-2.0

package kubetest

import (
	"context"
	"io"
	"net/http"
)

// stream is the body of a watch.
type stream struct {
	ctx    context.Context
	name   string // of the only object to tell of; empty: all
	events chan []byte
	ended  context.Context
	end    context.CancelFunc
	rest   []byte
}

func newStream(r *http.Request, name string) *stream {
	const unread = 1 << 15
	s := &stream{ctx: r.Context(), name: name, events: make(chan []byte, unread)}
	s.ended, s.end = context.WithCancel(context.WithoutCancel(r.Context()))
	return s
}

func (s *stream) wants(name string) bool { return s.name == "" || s.name == name }

func (s *stream) send(event []byte) {
	select {
	case s.events <- event:
	case <-s.ended.Done():
	case <-s.ctx.Done():
	}
}

// Read implements [io.Reader].
func (s *stream) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		select {
		case s.rest = <-s.events:
		case <-s.ended.Done():
			return 0, io.EOF
		case <-s.ctx.Done():
			return 0, s.ctx.Err()
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// Close implements [io.Closer].
func (s *stream) Close() error {
	s.end()
	return nil
}
