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
	// Prefix is what was taken off the client's path on the way here; links get it back (quirk K1). Empty:
	// nothing was.
	Prefix string
	// Base is what the path of a Location begins with; empty where something on the way puts the prefix there,
	// as the API server's service proxy does.
	Base string
	// Content is the digest that a manifest on its way up must have; empty: any.
	Content string
	// Cache has what the registry was asked for before; nil: it is asked each time.
	Cache Cache
	// Scope that the registry has to grant for it.
	Scope upstream.Scope
	// Download lets the content of a blob be fetched from wherever the registry keeps it.
	Download bool
	// Source returns the repository on the same registry that a client's name in a mount stands for; false when
	// it stands for none.
	Source func(name string) (repository string, ok bool)
	// Callers are whom the transfer is counted for, from wide to narrow.
	Callers []string
	// Discreet keeps the registry's own words from the client, who is not to know which registry it is; they
	// go to the log.
	Discreet bool
	// Refused makes the answer, and its cause for the log, when the registry refuses the proxy's own
	// credential, which is not the client's.
	Refused func(refusal *upstream.Refusal) *oci.Error
}

// Engine forwards requests. It is safe for concurrent use, and one serves any number of sides.
type Engine struct {
	// Transfers has the places for what is forwarded; nil: there is no limit.
	Transfers *httpserver.Transfers

	sessions *session.Sealer
	buffers  *buffers
	// quiet takes what ReverseProxy would log: that an answer broke off, which the request's own line says.
	quiet *log.Logger
}

// New makes an engine that seals its upload sessions with the given sealer; nil for sides that take no
// uploads.
func New(sessions *session.Sealer) *Engine {
	return &Engine{
		sessions: sessions,
		buffers:  &buffers{pool: sync.Pool{New: func() any { return new([copyBuffer]byte) }}},
		quiet:    log.New(io.Discard, "", 0),
	}
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
	end, err := e.Transfers.Begin(r.Context(), target.Callers...)
	if err != nil {
		return err
	}
	defer end()
	return e.forward(w, r, side, operation, target)
}

// forward has the registry answer a request that was admitted.
func (e *Engine) forward(
	w http.ResponseWriter, r *http.Request, side Side, operation oci.Route, target Target,
) (err error) {
	x := &exchange{
		sessions: e.sessions, side: side.Name(), route: operation, target: target,
		entry: httpserver.EntryOf(r.Context()), path: r.URL.Path,
	}
	if x.tags, err = x.furtherTags(r, side); err != nil {
		return err
	}
	if x.target.Content != "" && r.Method == http.MethodPut && r.Body == http.NoBody {
		return errContent(x.target.Content)
	}
	if err := x.prepare(r); err != nil {
		return x.explain(err)
	}
	x.ctx = upstream.WithCall(r.Context(), x.call)
	if x.target.Cache != nil && operation.Kind == oci.Blob && operation.Method == http.MethodGet {
		if served, err := x.serveBlob(w, r); served {
			return err
		}
	}
	var failed error // what came in place of an answer
	proxy := httputil.ReverseProxy{
		Rewrite:        x.rewrite,
		Transport:      x,
		ModifyResponse: x.answer,
		ErrorHandler:   func(_ http.ResponseWriter, _ *http.Request, err error) { failed = err },
		ErrorLog:       e.quiet,
		BufferPool:     e.buffers,
	}
	proxy.ServeHTTP(w, r.WithContext(x.ctx))
	if failed != nil {
		return x.explain(failed)
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
	sessions *session.Sealer
	side     string
	route    oci.Route
	target   Target
	call     upstream.Call
	entry    *httpserver.Entry

	// ctx is the request's, without what ReverseProxy adds to it.
	ctx context.Context
	// address is where on the registry the request goes.
	address *url.URL
	// record is the upload session that the request continues.
	record session.Record
	// stands is how far that upload is, where the registry was asked.
	stands standing
	// path is the client's, as it arrived.
	path string
	// digest is the one that the client says the blob has.
	digest string
	// tags are those that a manifest is to get beside its reference, and algorithm is what the digest of an
	// upload is made by.
	tags      []string
	algorithm url.Values
	// pushed has the digest of a manifest on its way up.
	pushed *digester
}

// copyBuffer is the size of the buffers through which answers go, in bytes.
const copyBuffer = 64 << 10

type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte  { return b.pool.Get().(*[copyBuffer]byte)[:] }
func (b *buffers) Put(p []byte) { b.pool.Put((*[copyBuffer]byte)(p)) }
