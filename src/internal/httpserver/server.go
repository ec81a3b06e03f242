// SPDX-License-Identifier: Apache-2.0

package httpserver

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"
)

const (
	headerTimeout = 10 * time.Second
	// idleTimeout is longer than that of the API server's connections (90 s), so that it is the API server
	// who closes them.
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 32 << 10
)

// Listener is one address that is served.
type Listener struct {
	// Name for the log, such as the side's.
	Name    string
	Address string
	// Setting is where the address was set, for errors.
	Setting string
	Handler http.Handler
	// TLS makes it HTTPS; may be nil.
	TLS *tls.Config
	// MaxConnections at once; more wait to be accepted. 0: as many as where memory is no matter.
	MaxConnections int
}

// Group serves several listeners that live and die together.
type Group struct {
	logger    *slog.Logger
	servers   []*http.Server
	listeners []net.Listener
	names     []string
	draining  atomic.Bool
}

// Listen opens all addresses, or none: when one is in use, the error names it.
func Listen(ctx context.Context, logger *slog.Logger, all ...Listener) (*Group, error) {
	g := &Group{logger: logger}
	for _, l := range all {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", l.Address)
		if err != nil {
			g.close()
			return nil, fmt.Errorf("%w: choose another %s", err, l.Setting)
		}
		server := &http.Server{
			Handler:           l.Handler,
			ReadHeaderTimeout: headerTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeaderBytes,
			ConnState:         nextHeader,
			ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		}
		g.servers = append(g.servers, server)
		listener = netutil.LimitListener(listener, cmp.Or(l.MaxConnections, mostConnections))
		if l.TLS != nil {
			listener = tls.NewListener(listener, http1(l.TLS))
			server.ConnContext, server.Handler = withConn, withTLSState(l.Handler)
		}
		g.listeners = append(g.listeners, ociListener{listener})
		g.names = append(g.names, l.Name)
	}
	return g, nil
}

// Draining reports whether the group has been told to end; it is then not ready for more.
func (g *Group) Draining() bool { return g.draining.Load() }

// Serve serves until the context ends, and then lets requests under way finish for as long as timeout says.
// The first listener, which says whether the process is ready, is stopped once the others are done, so that
// it can say no until then; those stop at once and together, because no new connection may come to one while
// another still has uploads.
func (g *Group) Serve(ctx context.Context, timeout time.Duration) error {
	failed := make(chan error, len(g.servers))
	for i, server := range g.servers {
		g.logger.Info("serving", "door", g.names[i], "address", g.listeners[i].Addr().String())
		go func() { failed <- serve(server, g.listeners[i]) }()
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	g.draining.Store(true)
	g.logger.Info("stopping", "timeout", timeout)
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	return errors.Join(err, g.shutdown(deadline))
}

func serve(server *http.Server, listener net.Listener) error {
	err := server.Serve(listener)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (g *Group) shutdown(ctx context.Context) error {
	errs := make([]error, len(g.servers))
	var rest sync.WaitGroup
	for i := 1; i < len(g.servers); i++ {
		rest.Go(func() { errs[i] = g.stop(ctx, i) })
	}
	rest.Wait()
	if len(g.servers) > 0 {
		errs[0] = g.stop(ctx, 0)
	}
	return errors.Join(errs...)
}

func (g *Group) stop(ctx context.Context, i int) error {
	err := g.servers[i].Shutdown(ctx)
	if err == nil {
		return nil
	}
	_ = g.servers[i].Close()
	return fmt.Errorf("%s: requests were still under way when the time to stop was over: %w", g.names[i], err)
}

func (g *Group) close() {
	for _, l := range g.listeners {
		_ = l.Close()
	}
}
