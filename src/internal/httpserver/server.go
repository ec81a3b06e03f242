// SPDX-License-Identifier: Apache-2.0

package httpserver

import (
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

	"github.com/local-source-proxy/local-source-proxy/src/internal/socket"
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
	// Connections has the places for connections; nil: as many as where memory is no matter.
	Connections *Connections
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
		g.add(l, listener)
	}
	return g, nil
}

// add serves an address that has been opened.
func (g *Group) add(l Listener, listener net.Listener) {
	places := l.Connections
	if places == nil {
		places = NewConnections(0, nil)
	}
	server := &http.Server{
		Handler:           places.serve(l.Handler),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnContext:       withConn,
		ConnState:         places.follow,
		ErrorLog:          slog.NewLogLogger(g.logger.Handler(), slog.LevelDebug),
	}
	g.servers = append(g.servers, server)
	listener = places.listener(boundedListener{listener, &socket.Crowd{}})
	if l.TLS != nil {
		listener = tls.NewListener(listener, http1(l.TLS))
		server.Handler = withTLSState(server.Handler)
	}
	g.listeners = append(g.listeners, newOCIListener(listener))
	g.names = append(g.names, l.Name)
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
