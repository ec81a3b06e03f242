// SPDX-License-Identifier: Apache-2.0

// Package body lends one request body to several attempts at a request, as long as no attempt has read from it.
//
// A body is a stream that is kept nowhere, so it can be sent once. But a request that announces "Expect: 100-continue" is often
// refused before its body is asked for, and can then be made again with the same, untouched body: with a fresh token, or in
// another form. The package refuses to lend a body that has begun: replaying half a blob is worse than an error.
//
// Source: RFC 9110, section 10.1.1.
package body

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// ErrRecalled is what an attempt reads that was still going on when its body was lent to the next.
var ErrRecalled = errors.New("request body was lent to another attempt")

// Body is a request body on loan to one attempt.
type Body struct {
	source io.Reader
	state  atomic.Int32
}

const (
	untouched int32 = iota
	begun
	recalled
)

// New makes a body that can be lent of one that cannot. Closing the source stays its owner's affair: net/http closes a request's
// body after every attempt.
func New(source io.Reader) *Body { return &Body{source: source} }

// Read implements [io.Reader].
func (b *Body) Read(p []byte) (int, error) {
	if b.state.Load() != begun && !b.state.CompareAndSwap(untouched, begun) {
		return 0, ErrRecalled
	}
	return b.source.Read(p)
}

// Close implements [io.Closer]; it ends the loan and leaves the source open.
func (b *Body) Close() error {
	b.state.CompareAndSwap(untouched, recalled)
	return nil
}

// Again gives a request to make once more: a clone with the same body, where there was none or this one is untouched. A
// goroutine of net/http that still holds the earlier loan gets [ErrRecalled] from it and no byte.
func Again(req *http.Request) (*http.Request, bool) {
	again := req.Clone(req.Context())
	if req.Body == nil || req.Body == http.NoBody {
		return again, true
	}
	lent, ok := req.Body.(*Body)
	if !ok || !lent.state.CompareAndSwap(untouched, recalled) && lent.state.Load() != recalled {
		return nil, false
	}
	again.Body = New(lent.source)
	return again, true
}
