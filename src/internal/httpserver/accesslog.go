// SPDX-License-Identifier: Apache-2.0

package httpserver

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// Entry is what is known of a request in the end. A handler owns it while it runs.
type Entry struct {
	// ID is unique; the client gets it as X-Request-Id.
	ID string
	// Side is the name of the side.
	Side string
	// Operation is one of a closed set, such as "manifest-put"; "" until it is known.
	Operation string
	// Name of the repository as the client writes it, and Reference, a tag or digest, never an upload
	// session.
	Name, Reference string
	// User is who the request is from, by the API server's word, in how many groups, and for which namespace;
	// empty where nobody says so.
	User      string
	Groups    int
	Namespace string
	// Digest of a manifest that was stored.
	Digest string
	// Status of the answer, and UpstreamStatus of the registry's, 0 when it was not asked or did not answer.
	Status, UpstreamStatus int
	// In and Out are the bytes of the bodies that were read from and written to the client.
	In, Out int64
	// Duration from the request's header to the last byte of the answer.
	Duration time.Duration
	// Err is why the request failed.
	Err error
	// Report, where a side sets it, is called at the end in place of writing the line that requests have in
	// general.
	Report func(ctx context.Context, e *Entry)

	method, remote string
	body           *countedBody
}

// Received is how many bytes of the request's body have been read so far.
func (e *Entry) Received() int64 {
	if e.body == nil {
		return 0
	}
	return e.body.read.Load()
}

// stallLimit is how long a client may stall that has more of a body to send than the registry wanted.
const stallLimit = time.Second

// StopReading ends the reading of the client's body soon, when it is not complete although the request has
// its answer. Otherwise a client that stalls would keep its own answer waiting, and its connection: net/http
// reads on before it sends one. The writer calls it when an answer begins. A handler that has decided earlier,
// and has more to do before it answers, calls it itself.
func (e *Entry) StopReading() {
	if e.body != nil && !e.body.complete() {
		e.body.stop(time.Now().Add(stallLimit))
	}
}

// BodyErr is the error with which the client's body ended early, if it did.
func (e *Entry) BodyErr() error {
	if e.body == nil {
		return nil
	}
	err, _ := e.body.err.Load().(error)
	return err
}

// Recorder counts requests.
type Recorder interface {
	// RequestStarted is called when a request's operation is known.
	RequestStarted(e *Entry)
	// RequestFinished is called once for every request; started says whether RequestStarted was.
	RequestFinished(e *Entry, started bool)
}

// HandlerFunc answers a request or says why it cannot.
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

// AccessLog is what the requests of one side have in common.
type AccessLog struct {
	Side     string
	Logger   *slog.Logger
	Recorder Recorder
}

type entryKey struct{}

type tracked struct {
	entry    *Entry
	recorder Recorder
	started  bool
}

// EntryOf returns the entry of a request that came through [Log.Handler].
func EntryOf(ctx context.Context) *Entry {
	if t, ok := ctx.Value(entryKey{}).(*tracked); ok {
		return t.entry
	}
	return &Entry{}
}

// Started notes the operation of a request, as soon as it is known.
func Started(ctx context.Context, operation, name, reference string) {
	t, ok := ctx.Value(entryKey{}).(*tracked)
	if !ok {
		return
	}
	t.entry.Operation, t.entry.Name, t.entry.Reference = operation, name, reference
	if t.recorder != nil && !t.started {
		t.started = true
		t.recorder.RequestStarted(t.entry)
	}
}

// By notes who a request is from, and for which namespace.
func By(ctx context.Context, user string, groups int, namespace string) {
	e := EntryOf(ctx)
	e.User, e.Groups, e.Namespace = user[:min(len(user), maxUser)], groups, namespace
}

// maxUser is how much of a user's name the log has, in bytes.
const maxUser = 256

// known returns a method as the log has it: it is any word that a client likes, of any length.
func known(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	default:
		return "other"
	}
}

// Handler makes an [http.Handler] of a function.
func (l AccessLog) Handler(handle HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		e := &Entry{ID: rand.Text(), Side: l.Side, method: known(r.Method), remote: remote(r)}
		t := &tracked{entry: e, recorder: l.Recorder}
		out := &writer{ResponseWriter: w, stamps: http.Header{}, begun: e.StopReading}
		out.Stamp("X-Request-Id", e.ID)
		out.Stamp("X-Content-Type-Options", "nosniff")
		r = r.WithContext(context.WithValue(r.Context(), entryKey{}, t))
		if r.Body != nil && r.Body != http.NoBody {
			e.body = newCountedBody(w, r)
			r.Body = e.body
		}
		defer l.finish(r, t, out, start)
		if err := run(handle, out, r); err != nil {
			e.Err = err
			if out.status == 0 {
				_ = oci.WriteError(out, oci.ErrorFrom(err))
				return
			}
			if errors.Is(err, errBrokeOff) {
				panic(http.ErrAbortHandler) // net/http closes the connection, so that the client sees it too
			}
		}
	})
}

var errBrokeOff = errors.New("the answer broke off")

// run makes an error of a panic. ReverseProxy panics with [http.ErrAbortHandler] when an answer breaks off.
func run(handle HandlerFunc, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		switch cause := recover(); cause {
		case nil:
		case http.ErrAbortHandler:
			err = errBrokeOff
		default:
			err = fmt.Errorf("%w: panic: %v\n%s", errBrokeOff, cause, debug.Stack())
		}
	}()
	return handle(w, r)
}

func (l AccessLog) finish(r *http.Request, t *tracked, out *writer, start time.Time) {
	e := t.entry
	e.In, e.Out, e.Status, e.Duration = e.Received(), out.written.Load(), out.status, time.Since(start)
	if e.Err == nil || errors.Is(e.Err, errBrokeOff) {
		e.Err = cmp.Or(clientOf(r.Context()).why(), context.Cause(r.Context()), e.Err)
	}
	if l.Recorder != nil {
		l.Recorder.RequestFinished(e, t.started)
	}
	if e.Report != nil {
		e.Report(r.Context(), e)
		return
	}
	l.write(r.Context(), e)
}

func (l AccessLog) write(ctx context.Context, e *Entry) {
	attrs := []slog.Attr{
		slog.String("id", e.ID), slog.String("door", e.Side), slog.String("operation", e.Operation),
		slog.String("method", e.method), slog.String("name", e.Name), slog.String("reference", e.Reference),
		slog.Int("status", e.Status), slog.Int("upstream_status", e.UpstreamStatus),
		slog.Int64("bytes_in", e.In), slog.Int64("bytes_out", e.Out),
		slog.Duration("duration", e.Duration), slog.String("remote", e.remote),
	}
	if e.Namespace != "" {
		attrs = append(attrs, slog.String("namespace", e.Namespace), slog.String("user", e.User),
			slog.Int("groups", e.Groups))
	}
	if e.Digest != "" {
		attrs = append(attrs, slog.String("digest", e.Digest))
	}
	level := slog.LevelInfo
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", e.Err.Error()))
		if e.Status >= 500 {
			level = slog.LevelError
		}
	}
	l.Logger.LogAttrs(ctx, level, "request", attrs...)
}

// remote is the address of the client, which the API server passes on, and of who passed it on.
func remote(r *http.Request) string {
	host := Peer(r)
	if forwarded := r.Header.Get("X-Forwarded-For"); forwarded != "" && len(forwarded) < 256 {
		return forwarded + ", " + host
	}
	return host
}

type countedBody struct {
	io.ReadCloser
	length int64 // as announced; negative: it was not
	// conn is where it comes from; nil: not from a [Group].
	conn *clientConn
	// stop ends the reading by then.
	stop  func(by time.Time)
	read  atomic.Int64
	ended atomic.Bool
	err   atomic.Value
}

func newCountedBody(w http.ResponseWriter, r *http.Request) *countedBody {
	b := &countedBody{ReadCloser: r.Body, length: r.ContentLength, conn: clientOf(r.Context())}
	if b.conn != nil {
		b.stop = b.conn.stopBody
	} else {
		b.stop = func(by time.Time) { _ = http.NewResponseController(w).SetReadDeadline(by) }
	}
	return b
}

func (b *countedBody) complete() bool {
	return b.ended.Load() || b.length >= 0 && b.read.Load() >= b.length
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.from(p)
	b.read.Add(int64(n))
	if errors.Is(err, io.EOF) {
		b.ended.Store(true)
	} else if err != nil {
		b.err.CompareAndSwap(nil, readError{err})
	}
	return n, err
}

// from reads on, for as long as something comes.
func (b *countedBody) from(p []byte) (int, error) {
	if b.conn == nil {
		return b.ReadCloser.Read(p)
	}
	b.conn.beginBody()
	n, err := b.ReadCloser.Read(p)
	b.conn.endBody()
	if err != nil && b.conn.why() != nil {
		err = b.conn.why()
	}
	return n, err
}

// readError wraps all errors in one type, as atomic.Value wants it.
type readError struct{ error }

func (e readError) Unwrap() error { return e.error }
