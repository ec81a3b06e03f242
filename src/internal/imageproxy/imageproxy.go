// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/src/internal/engine"
	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy/cache"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// Side names the side in logs and metrics.
const Side = "images"

// Config is what the side needs.
type Config struct {
	Engine  *engine.Engine
	Catalog *catalog.Store
	Issuer  *Issuer
	// Proxies are those in front of the side whose X-Forwarded headers count.
	Proxies TrustedProxies
	// External is how clients reach the side; empty: by the name that they use, and by TLS.
	External ExternalURLs
	// TerminateOnRevoke ends downloads under way when their license ends.
	TerminateOnRevoke bool
	// ConcurrentPulls is how many blobs a license has sent at once that names no number itself, and how many
	// other requests it has answered; 0: any number.
	ConcurrentPulls int
	// Cache keeps what is pulled; nil: the registry is asked for everything.
	Cache *cache.Cache
	// Recorder gets every request.
	Recorder Recorder
	Logger   *slog.Logger
}

// Proxy is the handler of the image proxy.
type Proxy struct {
	cfg       Config
	grammar   grammar
	hosts     hosts
	failures  *Throttle
	downloads *downloads
	places    *places
	contents  *contents
}

// New makes the side.
func New(cfg Config) *Proxy {
	d := &Proxy{cfg: cfg, grammar: newGrammar(), hosts: newHosts(), contents: newContents()}
	d.failures = NewThrottle(func(source netip.Prefix, failures int) {
		cfg.Logger.Warn("wrong licenses or tokens over the limit were refused and not logged one by one",
			"door", Side, "remote", source.String(), "requests", failures, "within", Pause)
	})
	d.places = newPlaces(cfg.Catalog, cfg.ConcurrentPulls)
	if cfg.TerminateOnRevoke {
		d.downloads = newDownloads(cfg.Catalog)
	}
	return d
}

// Close ends what the side does beside requests.
func (d *Proxy) Close() {
	d.downloads.close()
	d.places.close()
}

// Serve answers a request; it is an [httpserver.HandlerFunc].
func (d *Proxy) Serve(w http.ResponseWriter, r *http.Request) error {
	v := &visit{Proxy: d, origin: d.cfg.Proxies.Of(r), record: Record{Action: Unknown}}
	httpserver.EntryOf(r.Context()).Report = v.report
	httpserver.Stamp(w, "Docker-Distribution-Api-Version", "registry/2.0")
	if strings.TrimSuffix(r.URL.EscapedPath(), "/") == tokenPath {
		return v.serveToken(w, r)
	}
	ctx, end := context.WithCancelCause(r.Context())
	defer end(nil)
	v.end = end
	defer d.downloads.forget(&v.download)
	defer v.leave()
	err := d.cfg.Engine.Serve(w, r.WithContext(ctx), v)
	if ended := v.ended.Load(); err != nil && ended != nil {
		return ended.answer
	}
	return err
}

// visit is the side as one request sees it.
type visit struct {
	*Proxy
	download

	origin    Origin
	reference reference
	record    Record
	// place is the line in which the request has one; nil: it has none.
	place *lineKey
	// silent: the request is in a summary, and not logged by itself.
	silent bool
	// passed: it was admitted, to the ExternalRegistry of that name if it is about one.
	passed   bool
	registry string
	// cached is the cache as the request sees it; nil: there is none.
	cached *cache.View
	// opened is what the license has of the repository.
	opened catalog.Tags
	// asked is what has to be looked for among the contents of open tags; nil: nothing.
	asked *asked
}

// Name implements [engine.Side].
func (*visit) Name() string { return Side }

// Read implements [engine.Side].
func (v *visit) Read(r *http.Request) (oci.Route, error) {
	operation, ref, err := v.grammar.read(r.Method, r.URL.EscapedPath())
	if err != nil {
		return operation, err
	}
	v.reference = ref
	v.record.Action, v.record.Image, v.record.Reference = action(operation), ref.image(), operation.Reference
	return operation, nil
}

func action(operation oci.Route) Action {
	switch {
	case operation.Kind == oci.Ping:
		return Auth
	case operation.Method == http.MethodHead:
		return Head
	default:
		return Action(operation.Kind)
	}
}

// deny notes why a request is refused.
func (v *visit) deny(reason Reason, answer *oci.Error) *oci.Error {
	v.record.Reason = reason
	return answer
}

// holder notes whose request it is.
func (v *visit) holder(c *catalog.Credential) {
	v.record.License, v.record.Customer, v.record.App = c.License.Name, c.License.Customer, c.License.App
}

// report is the end of a request.
func (v *visit) report(ctx context.Context, e *httpserver.Entry) {
	r := v.record
	r.ID, r.Status, r.Bytes, r.Duration, r.Err = e.ID, e.Status, e.Out, e.Duration, e.Err
	r.Remote, r.Cache = v.origin.Address.String(), v.cached.Finish(e.Out)
	r.Success = e.Status < http.StatusBadRequest && e.Err == nil
	if ended := v.ended.Load(); e.Err != nil && ended != nil {
		r.Reason, r.Err = ended.reason, ended.answer
	}
	v.cfg.Recorder.Pulled(r)
	v.explainRefusal(ctx, e.Err)
	if !v.silent {
		r.Log(ctx, v.cfg.Logger)
	}
}

// hash of a license id.
type hash = [sha256.Size]byte
