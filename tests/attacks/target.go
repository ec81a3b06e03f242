// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"crypto/tls"
	"crypto/x509"
)

// side of the proxy that is attacked.
type side string

const (
	source side = "source proxy"
	images side = "image proxy"
)

// app is the application that the licenses open.
const app = "app"

// target is what clients know of the server.
type target struct {
	Side side
	// Address is where the side listens.
	Address string
	// CA is the PEM bundle that TLS needs; empty: plain HTTP.
	CA []byte
	// Hostile is the license of the attackers; empty at the source proxy.
	Hostile string
}

// trust is what clients need for TLS; nil: plain HTTP.
func (t *target) trust() *tls.Config {
	if len(t.CA) == 0 {
		return nil
	}
	pool := x509.NewCertPool()
	// Made by the test itself: it is PEM.
	pool.AppendCertsFromPEM(t.CA)
	return &tls.Config{RootCAs: pool, ServerName: "localhost"}
}

func (t *target) base() string {
	if len(t.CA) > 0 {
		return "https://" + t.Address
	}
	return "http://" + t.Address
}

// name is a client's name of a repository: of the good one, or of one with a trick.
func (t *target) name(trick string) string {
	switch {
	case t.Side == source && trick == "":
		return "source"
	case t.Side == source:
		return "source/" + trick
	case trick == "":
		return "proxy/" + app + "/good/team/image"
	default:
		return "proxy/" + app + "/bad/team/" + trick
	}
}
