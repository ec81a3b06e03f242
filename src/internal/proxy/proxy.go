// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/engine"
	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver/metrics"
	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
	"github.com/local-source-proxy/local-source-proxy/src/internal/session"
)

// Config is what the command line says.
type Config struct {
	// ListenAddress is the source proxy's; empty: off. AdminAddress is that of the probes and metrics.
	ListenAddress, AdminAddress string
	Sources                     Sources
	// SessionKeyFile has the keys that replicas share: of upload sessions, and of the image proxy's tokens.
	SessionKeyFile string
	// Embedded starts a registry in this process and pushes to it; nil: not.
	Embedded *Embedded
	// PassRedirects sends the source proxy's clients to the storage that a registry redirects downloads to.
	PassRedirects bool
	// API is the namespaced way into the source proxy.
	API API
	// Images is the image proxy.
	Images Images
	// Memory is how many bytes Go may use; what is taken on at once follows from it.
	Memory int64
	// Profiles serves the runtime's profiles on AdminAddress.
	Profiles        bool
	ShutdownTimeout time.Duration
	Logger          *slog.Logger
	Version         string
}

// check reports flags that do not go together.
func (c Config) check(inCluster bool) error {
	switch {
	case c.addresses() == 0:
		return errors.New("--listen-address, --api-address and --image-proxy-address are all empty: there is nothing to serve; pass at least one")
	case c.ListenAddress == "" && c.Embedded != nil:
		return errors.New("--embedded-registry needs --listen-address: pass the address that pushes arrive on")
	default:
		return cmp.Or(c.API.check(inCluster), c.Images.check(inCluster))
	}
}

// addresses is how many are served, without that of the probes.
func (c Config) addresses() (n int) {
	for _, address := range []string{c.ListenAddress, c.API.Address, c.Images.Address} {
		if address != "" {
			n++
		}
	}
	return n
}

// capacity is what is taken on at each address.
func (c Config) capacity() httpserver.Capacity { return httpserver.CapacityOf(c.Memory, c.addresses()) }

// engine makes a side's. It takes on no more transfers than memory holds.
func (c Config) engine(side string, sessions *session.Sealer, m *metrics.Metrics) *engine.Engine {
	e := engine.New(sessions)
	e.Transfers = httpserver.NewTransfers(c.capacity().Transfers)
	m.Transfers(side, e.Transfers)
	return e
}

// connections makes a side's places for connections. Those in front of it, such as an Ingress controller, may
// have all of them.
func (c Config) connections(side string, inFront func(netip.Addr) bool, m *metrics.Metrics) *httpserver.Connections {
	places := httpserver.NewConnections(c.capacity().Connections, inFront)
	m.Connections(side, places)
	return places
}

// part is one side, open for being served.
type part struct {
	listeners []httpserver.Listener
	// note is for the log, once it is served; may be empty.
	note string
	// about is for the line that says what starts: attributes of slog.
	about []any
	// ready says that it can answer.
	ready func() bool
	// stopped receives what keeps it from going on, if something does.
	stopped <-chan error
	// close ends what it has besides requests.
	close func() error
}

// adminConnections is how many connections the admin address takes: for probes and whoever reads metrics.
const adminConnections = 64

func always() bool { return true }

// Run serves until the context ends. An error is a [UsageError], or about what kept the server from starting
// or from ending in time; several are joined.
func Run(ctx context.Context, cfg Config) (err error) {
	if err := cfg.check(kube.InCluster()); err != nil {
		return UsageError{err}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	m := metrics.New(cfg.Version, metrics.Options{ByNamespace: cfg.API.MetricsByNamespace})
	var parts []*part
	for _, side := range []struct {
		addresses string
		open      func(context.Context, Config, *metrics.Metrics) (*part, error)
	}{{cfg.ListenAddress + cfg.API.Address, openSource}, {cfg.Images.Address, openImages}} {
		if side.addresses == "" {
			continue
		}
		p, openErr := side.open(ctx, cfg, m)
		if p != nil {
			defer func() { err = errors.Join(err, p.close()) }()
		}
		if openErr != nil {
			return openErr
		}
		parts = append(parts, p)
		go func() {
			if stopped := <-p.stopped; stopped != nil {
				cancel(stopped)
			}
		}()
	}
	if err := serve(ctx, cfg, m, parts); err != nil {
		return err
	}
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

func serve(ctx context.Context, cfg Config, m *metrics.Metrics, parts []*part) error {
	var group atomic.Pointer[httpserver.Group]
	ready := func() bool {
		g := group.Load()
		answer := g != nil && !g.Draining()
		for _, p := range parts {
			answer = answer && p.ready()
		}
		return answer
	}
	admin := httpserver.Admin(ready, m.Handler())
	if cfg.Profiles {
		admin = withProfiles(admin)
	}
	listeners := []httpserver.Listener{{Name: "admin", Address: cfg.AdminAddress, Setting: "--admin-address", Handler: admin, Connections: httpserver.NewConnections(adminConnections, nil)}}
	for _, p := range parts {
		listeners = append(listeners, p.listeners...)
	}
	g, err := httpserver.Listen(ctx, cfg.Logger, listeners...)
	if err != nil {
		return err
	}
	group.Store(g)
	if cfg.ListenAddress != "" && !kube.InCluster() && openToOthers(cfg.ListenAddress) {
		cfg.Logger.Warn("everybody who reaches this address can push with the operator's credential: use a loopback address",
			"address", cfg.ListenAddress, "setting", "--listen-address")
	}
	about := []any{"version", cfg.Version}
	for _, p := range parts {
		about = append(about, p.about...)
	}
	cfg.Logger.Info("starting", about...)
	for _, p := range parts {
		if p.note != "" {
			cfg.Logger.Info("this process has a key of its own", "door", p.listeners[0].Name, "note", p.note)
		}
	}
	return g.Serve(ctx, cfg.ShutdownTimeout)
}
