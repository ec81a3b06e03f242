// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

// EmbeddedRegistry is a running registry.
type EmbeddedRegistry struct {
	// Host is its address: 127.0.0.1 and a port.
	Host string

	server    *http.Server
	temporary string
}

// StartRegistry starts a registry that keeps its blobs in dir; with an empty dir, in a temporary one that
// [Registry.Stop] removes.
func StartRegistry(ctx context.Context, dir string) (*EmbeddedRegistry, error) {
	r := &EmbeddedRegistry{}
	if dir == "" {
		made, err := os.MkdirTemp("", "local-source-proxy-registry-")
		if err != nil {
			return nil, fmt.Errorf("embedded registry: %w", err)
		}
		dir, r.temporary = made, made
	} else if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("embedded registry: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("embedded registry: %w", err)
	}
	r.Host = listener.Addr().String()
	r.server = &http.Server{
		Handler: registry.New(
			registry.Logger(log.New(io.Discard, "", 0)),
			registry.WithBlobHandler(registry.NewDiskBlobHandler(dir)),
			registry.WithReferrersSupport(true),
		),
		ReadHeaderTimeout: 10 * time.Second,
	}
	go func() { _ = r.server.Serve(listener) }()
	return r, nil
}

// Stop stops the registry and removes what was temporary.
func (r *EmbeddedRegistry) Stop(ctx context.Context) error {
	err := r.server.Shutdown(ctx)
	if r.temporary != "" {
		if rmErr := os.RemoveAll(r.temporary); rmErr != nil && err == nil {
			err = rmErr
		}
	}
	if err != nil {
		return fmt.Errorf("embedded registry: %w", err)
	}
	return nil
}
