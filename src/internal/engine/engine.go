// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"

	"github.com/local-source-proxy/local-source-proxy/src/internal/ahead"
	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/session"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// Side decides who may do what, and where.
type Side interface {
	// Name of the side; upload sessions are bound to it.
	Name() string
	// Read says which operation a request asks for; the name in it is the client's.
	Read(r *http.Request) (oci.Route, error)
	// Admit decides about one operation. Its error is the answer. For [oci.Ping] the target is not used.
	Admit(r *http.Request, operation oci.Route) (Target, error)
}

// Target is where an admitted request goes.
type Target struct {
	Registry *upstream.Registry
	// Repository on that registry.
	Repository string
	// Prefix is what was taken off the client's path on the way here; links get it back (quirk K1). Empty: nothing was.
	Prefix string
	// Scope that the registry has to grant for it.
	Scope upstream.Scope
	// Source gives the repository on the same registry that a client's name in a mount stands for; false when it stands for none.
	Source func(name string) (repository string, ok bool)
	// Discreet keeps the registry's own words from the client, who is not to know which registry it is; they go to the log.
	Discreet bool
	// Refused makes the answer, and its cause for the log, when the registry refuses the proxy's own credential, which is not the
	// client's.
	Refused func(refusal *upstream.Refusal) *oci.Error
}

// Engine forwards requests. It is safe for concurrent use, and one serves any number of sides.
type Engine struct {
	sessions *session.Sealer
	lanes    *ahead.Lanes
	proxy    *httputil.ReverseProxy
}

// New makes an engine that seals its upload sessions with the given sealer; nil for sides that take no uploads.
func New(sessions *session.Sealer) *Engine {
	e := &Engine{sessions: sessions, lanes: ahead.NewLanes()}
	e.proxy = &httputil.ReverseProxy{
		Rewrite:        e.rewrite,
		Transport:      transport{},
		ModifyResponse: e.answer,
		ErrorHandler:   func(_ http.ResponseWriter, r *http.Request, err error) { exchangeOf(r.Context()).err = err },
		// What would be logged here is that an answer broke off, which the request's own line says.
		ErrorLog:   log.New(io.Discard, "", 0),
		BufferPool: &buffers{pool: sync.Pool{New: func() any { return new([copyBuffer]byte) }}},
	}
	return e
}

// Serve forwards one request that comes to a side.
func (e *Engine) Serve(w http.ResponseWriter, r *http.Request, side Side) error {
	operation, err := side.Read(r)
	if err != nil {
		return err
	}
	reference := operation.Reference
	if operation.Kind == oci.Upload {
		reference = ""
	}
	httpserver.Started(r.Context(), operation.Operation(), operation.Name, reference)
	target, err := side.Admit(r, operation)
	if err != nil {
		return err
	}
	if operation.Kind == oci.Ping {
		return ping(w)
	}
	x := &exchange{side: side.Name(), route: operation, target: target, entry: httpserver.EntryOf(r.Context()), path: r.URL.Path, leave: func() {}}
	if err := e.prepare(r, x); err != nil {
		return x.explain(err)
	}
	r = r.WithContext(upstream.WithCall(context.WithValue(r.Context(), exchangeKey{}, x), x.call))
	defer func() { x.leave() }() // also when an answer breaks off, which is a panic
	e.proxy.ServeHTTP(w, r)
	if x.err != nil {
		return x.explain(x.err)
	}
	return nil
}

// ping answers for the proxy: whether the registry can be reached is a matter of health.
func ping(w http.ResponseWriter) error {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", "2")
	_, err := w.Write([]byte("{}"))
	return err
}

// exchange is one request under way.
type exchange struct {
	side   string
	route  oci.Route
	target Target
	call   upstream.Call
	entry  *httpserver.Entry

	// address is where on the registry the request goes.
	address *url.URL
	// record is the upload session that the request continues.
	record session.Record
	// path is the client's, as it arrived.
	path string
	// digest is the one that the client says the blob has.
	digest string
	// pushed has the digest of a manifest on its way up.
	pushed *digester
	// leave gives up the lane that its body may have.
	leave func()
	// err is what came in place of an answer.
	err error
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange {
	return ctx.Value(exchangeKey{}).(*exchange)
}

// copyBuffer is the size of the buffers through which answers go, in bytes.
const copyBuffer = 64 << 10

type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte  { return b.pool.Get().(*[copyBuffer]byte)[:] }
func (b *buffers) Put(p []byte) { b.pool.Put((*[copyBuffer]byte)(p)) }
