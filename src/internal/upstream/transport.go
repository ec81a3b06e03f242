// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The base transport's limits. None of them is on a body (quirk U8); [bounded] ends what is silent.
const (
	dialTimeout      = 10 * time.Second
	handshakeTimeout = 10 * time.Second
	idleTimeout      = 90 * time.Second
	keepAlive        = 30 * time.Second
	idlePerHost      = 64
	// bufferSize lets one chunk of 32 KiB and its frame leave in one write.
	bufferSize = 40 << 10
	// maxHeader is the size up to which the header of an answer is read, in bytes.
	maxHeader = 128 << 10
)

// newTransport does not wait for "100 Continue": that is for [hold]. It speaks HTTP/1.1 with as many
// connections as there are requests: HTTP/2 would put all uploads into one TCP flow (quirk D7).
func newTransport(caCertData []byte) (*http.Transport, error) {
	pool, err := trust(caCertData)
	if err != nil {
		return nil, err
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:       http.ProxyFromEnvironment,
		DialContext: (&net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}).DialContext,
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12,
			ClientSessionCache: tls.NewLRUClientSessionCache(idlePerHost)},
		TLSHandshakeTimeout:    handshakeTimeout,
		Protocols:              protocols,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConnsPerHost:    idlePerHost,
		DisableCompression:     true,
		WriteBufferSize:        bufferSize,
		MaxResponseHeaderBytes: maxHeader,
	}, nil
}

// ErrCACertData is the error for CA data without a usable certificate.
var ErrCACertData = errors.New("ca_cert_data holds no PEM certificate")

// trust returns the system's roots and the given ones besides.
func trust(caCertData []byte) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read the system's CA certificates: %w", err)
	}
	if len(caCertData) > 0 && !pool.AppendCertsFromPEM(caCertData) {
		return nil, ErrCACertData
	}
	return pool, nil
}

// identify names the proxy, and asks for bytes as they are (quirk D3).
type identify struct {
	registry *Registry
	next     http.RoundTripper
}

func (t identify) RoundTrip(req *http.Request) (*http.Response, error) {
	req = withHeaders(req)
	req.Header.Set("Accept-Encoding", "identity")
	if t.registry.userAgent != "" {
		req.Header.Set("User-Agent", t.registry.userAgent)
	}
	return t.next.RoundTrip(req)
}

// measure tells the observer of every attempt.
type measure struct {
	registry *Registry
	next     http.RoundTripper
}

func (t measure) RoundTrip(req *http.Request) (*http.Response, error) {
	start := time.Now()
	resp, err := t.next.RoundTrip(req)
	status := 0
	switch {
	case err == nil:
		status = resp.StatusCode
	case clientLeft(req):
		status = StatusClientLeft
	}
	operation, elapsed := callOf(req.Context()).Operation, time.Since(start)
	t.registry.observer.UpstreamRequest(operation, status, elapsed)
	t.registry.log.DebugContext(req.Context(), "upstream request", "operation", operation, "method", req.Method,
		"host", req.URL.Host, "path", loggedPath(req.URL.Path), "status", status, "ms", elapsed.Milliseconds())
	return resp, err
}

// loggedPath leaves out what some registries keep the state of an upload in, and bounds the rest.
func loggedPath(path string) string {
	const uploads = "/blobs/uploads/"
	if before, _, found := strings.Cut(path, uploads); found {
		path = before + uploads
	}
	return path[:min(len(path), maxLoggedPath)]
}

// maxLoggedPath has room for the longest name and a digest.
const maxLoggedPath = 512

// StatusClientLeft is what an [Observer] gets for a request that ended because its client went away.
const StatusClientLeft = 499

// clientLeft reports whether a request failed because of the client: it is gone, or its body ended early.
func clientLeft(req *http.Request) bool {
	body, ok := req.Body.(*Body)
	return ok && body.source.failed.Load() || errors.Is(req.Context().Err(), context.Canceled)
}

// withHeaders returns a shallow copy of a request whose headers can be changed: a RoundTripper must not
// change its caller's.
func withHeaders(req *http.Request) *http.Request {
	shallow := new(http.Request)
	*shallow = *req
	shallow.Header = req.Header.Clone()
	return shallow
}

// Reach says how the registry is connected to, for those who want to look at each step of it.
type Reach struct {
	// Host is where the distribution API is, with a port.
	Host string
	// PlainHTTP: there is no TLS. On loopback it is found out by trying.
	PlainHTTP, Loopback bool
	// TLS is the configuration with the trusted roots.
	TLS *tls.Config
	// Proxy is the host of the HTTP proxy that the environment asks for; empty for none.
	Proxy string
}

// Reach tells how the registry is connected to.
func (r *Registry) Reach() Reach {
	reach := Reach{Host: r.api, PlainHTTP: r.plainHTTP, Loopback: IsLoopback(r.api), TLS: r.base.TLSClientConfig.Clone()}
	scheme, port := "https", "443"
	if r.plainHTTP {
		scheme, port = "http", "80"
	}
	u := url.URL{Scheme: scheme, Host: r.api}
	if u.Port() == "" {
		reach.Host = net.JoinHostPort(u.Hostname(), port)
	}
	reach.TLS.ServerName = u.Hostname()
	if proxy, err := r.base.Proxy(&http.Request{URL: &u}); err == nil && proxy != nil {
		reach.Proxy = proxy.Host
	}
	return reach
}
