// SPDX-License-Identifier: Apache-2.0

package registrytest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// Network is a world of named servers.
type Network struct {
	Recorder

	t      testing.TB
	ca     *x509.Certificate
	caKey  *ecdsa.PrivateKey
	mu     sync.Mutex
	places map[string]string
}

// NewNetwork makes a network without servers.
func NewNetwork(t testing.TB) *Network {
	t.Helper()
	n := &Network{t: t, places: map[string]string{}, Recorder: Recorder{t: t}}
	n.ca, n.caKey = n.issue("test authority", nil, nil)
	return n
}

// CA is the certificate that all servers' certificates were issued by, in PEM.
func (n *Network) CA() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: n.ca.Raw})
}

// Serve starts an HTTPS server under an address, a name and optionally a port. It speaks HTTP/2 to those who
// want it.
func (n *Network) Serve(address string, handler http.Handler) *httptest.Server {
	n.t.Helper()
	host := address
	if name, _, err := net.SplitHostPort(address); err == nil {
		host = name
	} else {
		address = net.JoinHostPort(address, "443")
	}
	leaf, key := n.issue(host, n.ca, n.caKey)
	server := n.unstarted(address, handler)
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}}}
	server.StartTLS()
	return n.place(address, server)
}

// ServePlain starts a server without TLS.
func (n *Network) ServePlain(address string, handler http.Handler) *httptest.Server {
	n.t.Helper()
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(address, "80")
	}
	server := n.unstarted(address, handler)
	server.Start()
	return n.place(address, server)
}

func (n *Network) unstarted(address string, handler http.Handler) *httptest.Server {
	server := httptest.NewUnstartedServer(n.record(address, handler))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	return server
}

func (n *Network) place(address string, server *httptest.Server) *httptest.Server {
	n.t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	n.places[address] = server.Listener.Addr().String()
	return server
}

// Dial connects to a server of the network. Any other name does not resolve, and no connection leaves the
// network.
func (n *Network) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	n.mu.Lock()
	real, ok := n.places[address]
	n.mu.Unlock()
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: address, Server: "192.0.2.53:53", IsNotFound: true}
	}
	return (&net.Dialer{}).DialContext(ctx, network, real)
}

func (n *Network) issue(
	name string, parent *x509.Certificate, parentKey *ecdsa.PrivateKey,
) (*x509.Certificate, *ecdsa.PrivateKey) {
	n.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		n.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	if parent == nil {
		parent, parentKey = template, key
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	} else if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		n.t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		n.t.Fatal(err)
	}
	return certificate, key
}
