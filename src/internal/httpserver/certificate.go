// SPDX-License-Identifier: Apache-2.0

package httpserver

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/filewatch"
)

// Certificate is a certificate and its key, in two files of PEM.
type Certificate struct {
	certFile, keyFile string
	logger            *slog.Logger
	current           atomic.Pointer[tls.Certificate]
}

// LoadCertificate reads the pair for the first time.
func LoadCertificate(certFile, keyFile string, logger *slog.Logger) (*Certificate, error) {
	p := &Certificate{certFile: certFile, keyFile: keyFile, logger: logger}
	cert, err := filewatch.Read(certFile)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	key, err := filewatch.Read(keyFile)
	if err != nil {
		return nil, fmt.Errorf("read key of the certificate: %w", err)
	}
	return p, p.use(cert, key)
}

func (p *Certificate) use(cert, key []byte) error {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("%s and %s: %w", p.certFile, p.keyFile, err)
	}
	p.current.Store(&pair)
	return nil
}

// Config serves the pair that is in force when a connection begins.
func (p *Certificate) Config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.current.Load(), nil },
	}
}

// Follow puts changed files in force until ctx ends. reloaded is told of each change, with what kept it from
// coming into force.
func (p *Certificate) Follow(ctx context.Context, reloaded func(error)) error {
	first := true
	return filewatch.Watch(ctx, []string{p.certFile, p.keyFile}, func(files map[string]filewatch.File) {
		cert, key := files[p.certFile], files[p.keyFile]
		err := cert.Err
		if err == nil {
			err = key.Err
		}
		if err == nil {
			err = p.use(cert.Data, key.Data)
		}
		if err != nil || !first {
			reloaded(err)
		}
		switch {
		case err != nil:
			p.logger.Error("certificate not reloaded, the last good one stays in use", "problem", err.Error(),
				"until", p.until())
		case !first:
			p.logger.Info("certificate reloaded", "until", p.until())
		}
		first = false
	})
}

// Until is when the certificate in force ends.
func (p *Certificate) Until() time.Time { return p.current.Load().Leaf.NotAfter }

func (p *Certificate) until() string { return p.Until().UTC().Format(time.RFC3339) }
