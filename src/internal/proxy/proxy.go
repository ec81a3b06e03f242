// SPDX-License-Identifier: Apache-2.0

// Package proxy puts the server together, and is the one place that knows all of its parts.
//
// It decides nothing about requests. Its own matter is what belongs to a process as a whole: where settings and keys come from,
// that a change of them reaches the next request, and the order in which things start and end.
package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/access"
	"github.com/local-source-proxy/local-source-proxy/src/internal/embedded"
	"github.com/local-source-proxy/local-source-proxy/src/internal/engine"
	"github.com/local-source-proxy/local-source-proxy/src/internal/metrics"
	"github.com/local-source-proxy/local-source-proxy/src/internal/server"
	"github.com/local-source-proxy/local-source-proxy/src/internal/source"
)

// Config is what the command line says.
type Config struct {
	// ListenAddress is door A's, AdminAddress that of the probes and metrics.
	ListenAddress, AdminAddress string
	Sources                     Sources
	// SessionKeyFile has the keys of upload sessions.
	SessionKeyFile string
	// Embedded starts a registry in this process and pushes to it; nil: not.
	Embedded *Embedded
	// PassRedirects sends clients to the storage that a registry redirects downloads to.
	PassRedirects bool
	// Profiles serves the runtime's profiles on AdminAddress.
	Profiles        bool
	ShutdownTimeout time.Duration
	Logger          *slog.Logger
	Version         string
}

// Embedded configures the registry in this process.
type Embedded struct {
	// Dir keeps its blobs; empty: a temporary one.
	Dir string
}

// Run serves until the context ends. An error is about what kept it from starting, or from ending in time.
func Run(ctx context.Context, cfg Config) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m := metrics.New(cfg.Version)
	host, stop, err := startEmbedded(ctx, cfg)
	if err != nil {
		return err
	}
	current := &connector{cfg: cfg, embedded: host, observer: m}
	sealer, err := openSessions(ctx, cfg)
	if err == nil {
		err = current.follow(ctx, m.Reload)
	}
	if err == nil {
		door := source.New(engine.New(sealer), current.upstream.Load)
		err = serve(ctx, cfg, m, access.Log{Door: source.DoorName, Logger: cfg.Logger, Recorder: m}.Handler(door.Serve))
	}
	return errors.Join(err, stop())
}

func serve(ctx context.Context, cfg Config, m *metrics.Metrics, door http.Handler) error {
	var group atomic.Pointer[server.Group]
	ready := func() bool {
		g := group.Load()
		return g != nil && !g.Draining()
	}
	admin := server.Admin(ready, m.Handler())
	if cfg.Profiles {
		admin = withProfiles(admin)
	}
	g, err := server.Listen(cfg.Logger,
		server.Listener{Name: "admin", Address: cfg.AdminAddress, Handler: admin},
		server.Listener{Name: source.DoorName, Address: cfg.ListenAddress, Handler: door},
	)
	if err != nil {
		return err
	}
	group.Store(g)
	return g.Serve(ctx, cfg.ShutdownTimeout)
}

// startEmbedded starts the registry in this process, if there is to be one, and gives its address and how to stop it.
func startEmbedded(ctx context.Context, cfg Config) (host string, stop func() error, err error) {
	if cfg.Embedded == nil {
		return "", func() error { return nil }, nil
	}
	registry, err := embedded.Start(cfg.Embedded.Dir)
	if err != nil {
		return "", nil, err
	}
	cfg.Logger.Warn("the registry in this process is for trying out: it keeps manifests in memory", "registry", registry.Host)
	return registry.Host, func() error { return registry.Stop(context.WithoutCancel(ctx)) }, nil
}
