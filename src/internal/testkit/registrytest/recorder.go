// SPDX-License-Identifier: Apache-2.0

package registrytest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Request is what a server received.
type Request struct {
	// Server is the address under which the request was received, and Host the header.
	Server, Host string
	Method       string
	// Path is escaped as it was sent, and Query raw.
	Path, Query string
	Proto       string
	Header      http.Header
	Trailer     http.Header
	// Chunked and Length are the body's framing; Body is what the server has read of it.
	Chunked bool
	Length  int64
	Body    []byte
}

// String is method, server and path: enough to tell requests apart.
func (r Request) String() string {
	uri := r.Path
	if r.Query != "" {
		uri += "?" + r.Query
	}
	return fmt.Sprintf("%s https://%s%s", r.Method, r.Server, uri)
}

// Recorder keeps all requests in the order of their arrival.
type Recorder struct {
	t    testing.TB
	mu   sync.Mutex
	seen []*Request
}

func (rec *Recorder) record(server string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := &Request{
			Server: server, Host: r.Host, Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Proto: r.Proto,
			Header: r.Header.Clone(), Trailer: r.Trailer.Clone(),
			Chunked: slices.Contains(r.TransferEncoding, "chunked"), Length: r.ContentLength,
		}
		rec.mu.Lock()
		rec.seen = append(rec.seen, seen)
		rec.mu.Unlock()
		// The server looks at its own request when it decides what to do with a body that nobody has read.
		copied := *r
		copied.Body = &recordedBody{ReadCloser: r.Body, rec: rec, of: seen}
		next.ServeHTTP(w, &copied)
	})
}

type recordedBody struct {
	io.ReadCloser
	rec *Recorder
	of  *Request
}

func (b *recordedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.rec.mu.Lock()
	defer b.rec.mu.Unlock()
	if len(b.of.Body) < 1<<20 {
		b.of.Body = append(b.of.Body, p[:n]...)
	}
	return n, err
}

// Requests are the requests so far for which all conditions hold.
func (rec *Recorder) Requests(conditions ...func(Request) bool) []Request {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	var found []Request
	for _, r := range rec.seen {
		snapshot := *r
		snapshot.Body = bytes.Clone(r.Body)
		if !slices.ContainsFunc(conditions, func(holds func(Request) bool) bool { return !holds(snapshot) }) {
			found = append(found, snapshot)
		}
	}
	return found
}

// Forget forgets all requests so far.
func (rec *Recorder) Forget() {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.seen = nil
}

// One returns the only request for which all conditions hold, and fails the test when there is none or
// another.
func (rec *Recorder) One(conditions ...func(Request) bool) Request {
	rec.t.Helper()
	found := rec.Requests(conditions...)
	if len(found) != 1 {
		rec.t.Fatalf("%d such requests, want one; all requests were:\n%s", len(found), rec)
	}
	return found[0]
}

// Count fails the test unless exactly n requests meet all conditions.
func (rec *Recorder) Count(n int, conditions ...func(Request) bool) {
	rec.t.Helper()
	if found := rec.Requests(conditions...); len(found) != n {
		rec.t.Errorf("%d such requests, want %d; all requests were:\n%s", len(found), n, rec)
	}
}

// None fails the test if a request meets all conditions.
func (rec *Recorder) None(conditions ...func(Request) bool) {
	rec.t.Helper()
	rec.Count(0, conditions...)
}

// String lists the requests, one a line.
func (rec *Recorder) String() string {
	var all strings.Builder
	for _, r := range rec.Requests() {
		fmt.Fprintln(&all, r)
	}
	return all.String()
}

// To is the condition that a request was for a server.
func To(address string) func(Request) bool {
	return func(r Request) bool {
		return r.Server == address || r.Server == address+":443" || r.Server == address+":80"
	}
}

// Sent is the condition that a request has a method and a path that contains a text.
func Sent(method, path string) func(Request) bool {
	return func(r Request) bool { return r.Method == method && strings.Contains(r.Path, path) }
}

// With is the condition that a request has a header, whatever its value.
func With(header string) func(Request) bool {
	return func(r Request) bool { return len(r.Header.Values(header)) > 0 }
}

// Mentions is the condition that a text is anywhere in a request.
func Mentions(text string) func(Request) bool {
	return func(r Request) bool {
		return strings.Contains(fmt.Sprint(r.Path, r.Query, r.Header, r.Trailer, r.Host), text) || bytes.Contains(r.Body, []byte(text))
	}
}
