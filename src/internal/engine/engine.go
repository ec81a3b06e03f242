// SPDX-License-Identifier: Apache-2.0

// Package engine forwards one request of the distribution API to one registry, and maps the answer back.
//
// It knows OCI and no door: a [Door] decides whether the caller may do the operation and which upstream repository is meant;
// the engine does the rest. Bodies stream both ways. State between requests is in the sealed URL of an upload session and
// nowhere else. What the registry says about itself (Location, Link, names, challenges, errors) is mapped to the client's
// view, or kept.
//
// src/README.md describes the way of a request in numbered rules; it is normative for this package.
package engine

import (
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"

	"github.com/local-source-proxy/local-source-proxy/src/internal/access"
	"github.com/local-source-proxy/local-source-proxy/src/internal/errcode"
	"github.com/local-source-proxy/local-source-proxy/src/internal/route"
	"github.com/local-source-proxy/local-source-proxy/src/internal/session"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// Door decides who may do what, and where.
type Door interface {
	// Name of the door; upload sessions are bound to it.
	Name() string
	// Read says which operation a request asks for; the name in it is the client's.
	Read(r *http.Request) (route.Route, error)
	// Admit decides about one operation. Its error is the answer. For [route.Ping] the target is not used.
	Admit(r *http.Request, operation route.Route) (Target, error)
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
	Refused func(refusal *upstream.Refusal) *errcode.Error
}

// Engine forwards requests. It is safe for concurrent use, and one serves any number of doors.
type Engine struct {
	sessions *session.Sealer
	buffers  *buffers
	// quiet takes what ReverseProxy would log: that an answer broke off, which the request's own line says.
	quiet *log.Logger
}

// New makes an engine that seals its upload sessions with the given sealer; nil for doors that take no uploads.
func New(sessions *session.Sealer) *Engine {
	return &Engine{
		sessions: sessions,
		buffers:  &buffers{pool: sync.Pool{New: func() any { return new([copyBuffer]byte) }}},
		quiet:    log.New(io.Discard, "", 0),
	}
}

// Serve forwards one request that comes to a door.
func (e *Engine) Serve(w http.ResponseWriter, r *http.Request, door Door) error {
	operation, err := door.Read(r)
	if err != nil {
		return err
	}
	reference := operation.Reference
	if operation.Kind == route.Upload {
		reference = ""
	}
	access.Started(r.Context(), operation.Operation(), operation.Name, reference)
	target, err := door.Admit(r, operation)
	if err != nil {
		return err
	}
	if operation.Kind == route.Ping {
		return ping(w)
	}
	x := &exchange{
		sessions: e.sessions, door: door.Name(), route: operation, target: target, entry: access.Of(r.Context()), path: r.URL.Path,
	}
	if err := x.prepare(r); err != nil {
		return x.explain(err)
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
	proxy.ServeHTTP(w, r.WithContext(upstream.WithCall(r.Context(), x.call)))
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
	door     string
	route    route.Route
	target   Target
	call     upstream.Call
	entry    *access.Entry

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
}

// copyBuffer is the size of the buffers through which answers go, in bytes.
const copyBuffer = 64 << 10

type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte  { return b.pool.Get().(*[copyBuffer]byte)[:] }
func (b *buffers) Put(p []byte) { b.pool.Put((*[copyBuffer]byte)(p)) }
