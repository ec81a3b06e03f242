// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain/dockerconfig"
	"github.com/local-source-proxy/local-source-proxy/src/internal/settings"
)

// follow keeps live settings up to date until the context ends, and returns once they have been read for the
// first time. stopped receives what ended it.
//
// Outside a cluster nothing starts with settings that are wrong: whoever has typed them is there to mend
// them. In a cluster the server starts all the same, so that /health can say what is wrong.
func follow(
	ctx context.Context, sources settings.Sources, cfg settings.LiveConfig,
) (current *settings.Live, stopped <-chan error, err error) {
	var started atomic.Bool
	started.Store(sources.Cluster != nil)
	if cfg.Log != nil {
		cfg.Log = slog.New(gate{cfg.Log.Handler(), &started})
	}
	cfg.ExpectDockerConfig = sources.ExpectDockerConfig()
	cfg.CheckDockerConfig = func(data []byte) error {
		_, err := dockerconfig.Parse(sources.DockerConfigFile, data)
		return err
	}
	current = settings.NewLive(cfg)
	loaded, failed := make(chan struct{}), make(chan error, 1)
	go func() { failed <- sources.Run(ctx, current, func() { close(loaded) }) }()
	select {
	case <-loaded:
	case err := <-failed:
		return nil, nil, err
	}
	if problem := unusable(sources, current.Current()); problem != nil {
		return nil, nil, problem
	}
	started.Store(true)
	return current, failed, nil
}

// unusable is what keeps a server from starting. Values without a repository do not: they are what the
// package installs with before somebody has set one.
func unusable(sources settings.Sources, now *settings.Snapshot) error {
	problem := now.Problem()
	missing := errors.Is(problem, settings.ErrNoRepository) && now.DockerConfigProblem == nil
	switch {
	case sources.Cluster != nil, missing && sources.ValuesFile != "":
		return nil
	case missing:
		return fmt.Errorf("%w; give --values-file a file that does, or try --embedded-registry", problem)
	default:
		return problem
	}
}

// gate keeps a log silent until it is opened: what is wrong at the start is told as an error, and need not be
// told twice.
type gate struct {
	slog.Handler
	open *atomic.Bool
}

// Enabled implements [slog.Handler].
func (g gate) Enabled(ctx context.Context, level slog.Level) bool {
	return g.open.Load() && g.Handler.Enabled(ctx, level)
}

// WithAttrs implements [slog.Handler].
func (g gate) WithAttrs(attrs []slog.Attr) slog.Handler {
	return gate{g.Handler.WithAttrs(attrs), g.open}
}

// WithGroup implements [slog.Handler].
func (g gate) WithGroup(name string) slog.Handler { return gate{g.Handler.WithGroup(name), g.open} }
