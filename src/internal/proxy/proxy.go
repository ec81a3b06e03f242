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
	"github.com/local-source-proxy/local-source-proxy/src/internal/filewatch"
	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
	"github.com/local-source-proxy/local-source-proxy/src/internal/live"
	"github.com/local-source-proxy/local-source-proxy/src/internal/metrics"
	"github.com/local-source-proxy/local-source-proxy/src/internal/server"
	"github.com/local-source-proxy/local-source-proxy/src/internal/session"
	"github.com/local-source-proxy/local-source-proxy/src/internal/settings"
	"github.com/local-source-proxy/local-source-proxy/src/internal/source"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
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

// embeddedRepository is where pushes go in the registry in this process.
const embeddedRepository = "source"

// Run serves until the context ends. An error is a [UsageError], or about what kept the server from starting or from ending in
// time; several are joined.
func Run(ctx context.Context, cfg Config) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	from, err := cfg.Sources.feed(cfg.Logger)
	if err != nil {
		return err
	}
	adjust, stop, err := startEmbedded(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()

	m := metrics.New(cfg.Version)
	current, stopped, err := follow(ctx, from, live.Config{Adjust: adjust, OnReload: countReloads(m), Log: cfg.Logger})
	if err != nil {
		return err
	}
	c := connectTo(current, cfg.Sources.DockerConfig, upstream.Config{
		PassRedirects: cfg.PassRedirects,
		UserAgent:     "local-source-proxy/" + cfg.Version,
		Observer:      m,
	})
	sealer, err := openSessions(ctx, cfg.SessionKeyFile, from.Cluster)
	if err != nil {
		return err
	}
	go followKeys(ctx, cfg, from.Cluster, sealer)

	door := source.New(engine.New(sealer), c.upstream.Load)
	handler := access.Log{Door: source.DoorName, Logger: cfg.Logger, Recorder: m}.Handler(door.Serve)
	ctx, cancelCause := context.WithCancelCause(ctx)
	defer cancelCause(nil)
	go func() { cancelCause(<-stopped) }()
	if err := serve(ctx, cfg, from.Cluster != nil, m, handler); err != nil {
		return err
	}
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

func serve(ctx context.Context, cfg Config, inCluster bool, m *metrics.Metrics, door http.Handler) error {
	var group atomic.Pointer[server.Group]
	ready := func() bool {
		g := group.Load()
		return g != nil && !g.Draining()
	}
	admin := server.Admin(ready, m.Handler())
	if cfg.Profiles {
		admin = withProfiles(admin)
	}
	g, err := server.Listen(ctx, cfg.Logger,
		server.Listener{Name: "admin", Address: cfg.AdminAddress, Setting: "--admin-address", Handler: admin},
		server.Listener{Name: source.DoorName, Address: cfg.ListenAddress, Setting: "--listen-address", Handler: door},
	)
	if err != nil {
		return err
	}
	group.Store(g)
	if cfg.SessionKeyFile == "" && !inCluster {
		cfg.Logger.Info("upload sessions are sealed with a key of this process alone: they end with it, and no other replica can continue them; see --session-key-file")
	}
	return g.Serve(ctx, cfg.ShutdownTimeout)
}

// startEmbedded starts the registry in this process, if there is to be one. adjust makes values name it.
func startEmbedded(ctx context.Context, cfg Config) (adjust func(*settings.Values), stop func() error, err error) {
	if cfg.Embedded == nil {
		return nil, func() error { return nil }, nil
	}
	registry, err := embedded.Start(ctx, cfg.Embedded.Dir)
	if err != nil {
		return nil, nil, err
	}
	cfg.Logger.Warn("the registry in this process is for trying out: it keeps manifests in memory", "registry", registry.Host)
	adjust = func(v *settings.Values) {
		v.Repository, v.PlainHTTP = registry.Host+"/"+embeddedRepository, true
	}
	return adjust, func() error { return registry.Stop(context.WithoutCancel(ctx)) }, nil
}

// countReloads counts changes of the settings; what makes no difference is none.
func countReloads(m *metrics.Metrics) func(string, error) {
	return func(result string, _ error) {
		switch result {
		case live.Applied:
			m.Reload("applied")
		case live.Rejected:
			m.Reload("refused")
		}
	}
}

// followKeys puts changed session keys in force until the context ends.
func followKeys(ctx context.Context, cfg Config, cluster *kube.Client, sealer *session.Sealer) {
	switch {
	case cfg.SessionKeyFile != "":
		replace := rotate(sealer, cfg.SessionKeyFile, cfg.Logger)
		err := filewatch.Watch(ctx, []string{cfg.SessionKeyFile}, func(files map[string]filewatch.File) {
			if file := files[cfg.SessionKeyFile]; file.Err == nil {
				replace(file.Data)
			}
		})
		if err != nil {
			cfg.Logger.Error("session keys are not watched", "problem", err.Error())
		}
	case cluster != nil:
		cluster.WatchKeys(ctx, kube.SessionKeySecret, rotate(sealer, "Secret "+kube.SessionKeySecret, cfg.Logger))
	}
}
