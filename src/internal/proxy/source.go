// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver/metrics"
	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
	"github.com/local-source-proxy/local-source-proxy/src/internal/session"
	"github.com/local-source-proxy/local-source-proxy/src/internal/settings"
	"github.com/local-source-proxy/local-source-proxy/src/internal/source"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// Embedded configures the registry in this process.
type Embedded struct {
	// Dir keeps its blobs; empty: a temporary one.
	Dir string
}

// embeddedRepository is where pushes go in the registry in this process.
const embeddedRepository = "source"

// openSource opens the source proxy, by one way in or both, with settings that have been read.
func openSource(ctx context.Context, cfg Config, m *metrics.Metrics) (*part, error) {
	cluster, err := cfg.Sources.cluster(kube.New, cfg.Logger)
	if err != nil {
		return nil, err
	}
	from, err := cfg.Sources.feed(cluster)
	if err != nil {
		return nil, err
	}
	adjust, stop, err := startEmbedded(ctx, cfg)
	if err != nil {
		return nil, err
	}
	p := &part{ready: always, close: stop}
	current, stopped, err := follow(ctx, from,
		settings.LiveConfig{Adjust: adjust, OnReload: countReloads(m), Log: cfg.Logger})
	if err != nil {
		return p, err
	}
	p.stopped = stopped
	c := connectTo(current, cfg.Sources.DockerConfig, upstream.Config{
		PassRedirects: cfg.PassRedirects,
		UserAgent:     "local-source-proxy/" + cfg.Version,
		Observer:      m,
		Log:           cfg.Logger,
	})
	if up := c.upstream.Load(); up.Problem == nil {
		p.about = []any{"registry", up.Registry.Host(), "repository", up.Repository}
	}
	shared := keys{what: "session keys", file: cfg.SessionKeyFile, cluster: cluster,
		secret: kube.SessionKeySecret, logger: cfg.Logger, reloaded: m.Reload}
	sealer, err := openSessions(ctx, shared)
	if err != nil {
		return p, err
	}
	if shared.alone() {
		p.note = "upload sessions end with it, and no other replica can continue them; see --session-key-file"
	}
	if cfg.ListenAddress != "" {
		p.listeners = append(p.listeners, httpserver.Listener{
			Name: source.Side, Address: cfg.ListenAddress, Setting: "--listen-address",
			Connections: cfg.connections(source.Side, nil, m),
			Handler: httpserver.AccessLog{Side: source.Side, Logger: cfg.Logger, Recorder: m}.
				Handler(cfg.sourceProxy(source.Side, c, sealer, m).Serve),
		})
	}
	if cfg.API.Address != "" {
		listener, stopAPI, err := openAPI(ctx, cluster, cfg, cfg.sourceProxy(source.APISide, c, sealer, m), m)
		if err != nil {
			return p, err
		}
		p.listeners, p.close = append(p.listeners, listener), func() error { stopAPI(); return stop() }
	}
	return p, nil
}

// sourceProxy makes the source proxy of one way in, which has places of its own for transfers.
func (c Config) sourceProxy(side string, from *connector, sealer *session.Sealer, m *metrics.Metrics) *source.Proxy {
	m.Pushes(side)
	made := source.New(c.engine(side, sealer, m), from.upstream.Load)
	made.Software, made.Log = "local-source-proxy/"+c.Version, c.Logger
	return made
}

// openSessions makes what seals upload sessions, with keys that are followed until the context ends.
func openSessions(ctx context.Context, shared keys) (*session.Sealer, error) {
	content, err := shared.read(ctx)
	if err != nil {
		return nil, err
	}
	first, err := session.ParseKeys(shared.place(), content)
	if err != nil {
		return nil, err
	}
	sealer := session.NewSealer(first, time.Now)
	go shared.follow(ctx, parsed(session.ParseKeys, sealer.Replace))
	return sealer, nil
}

// startEmbedded starts the registry in this process, if there is to be one. adjust makes values name it.
func startEmbedded(ctx context.Context, cfg Config) (adjust func(*settings.Values), stop func() error, err error) {
	if cfg.Embedded == nil {
		return nil, func() error { return nil }, nil
	}
	registry, err := StartRegistry(ctx, cfg.Embedded.Dir)
	if err != nil {
		return nil, nil, err
	}
	cfg.Logger.Warn("the embedded registry is for trying out: it keeps manifests in memory", "registry", registry.Host)
	adjust = func(v *settings.Values) {
		v.Repository, v.PlainHTTP = registry.Host+"/"+embeddedRepository, true
	}
	return adjust, func() error { return registry.Stop(context.WithoutCancel(ctx)) }, nil
}

// countReloads counts changes of the settings; what makes no difference is none.
func countReloads(m *metrics.Metrics) func(what, result string, err error) {
	return func(what, result string, _ error) {
		if result == settings.Unchanged {
			m.InForce(what)
			return
		}
		m.Reload(what, result == settings.Applied)
	}
}
