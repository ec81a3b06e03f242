// SPDX-License-Identifier: Apache-2.0

package proxytest

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/engine"
	"github.com/local-source-proxy/local-source-proxy/src/internal/frontproxy"
	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keyfile"
	"github.com/local-source-proxy/local-source-proxy/src/internal/session"
	"github.com/local-source-proxy/local-source-proxy/src/internal/source"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

const (
	// Host is the registry's.
	Host = "registry.example.com"
	// Repository is the one that the source proxy pushes to.
	Repository = "team/code"
	// User is the operator's robot there.
	User = "robot"
	// Password is the robot's.
	Password = "s3cret-of-the-operator"
)

// Config says what is special about a proxy; the zero value pushes without switches, as the operator's robot.
type Config struct {
	// Host in place of [Host].
	Host string
	// Keychain in place of the robot's.
	Keychain keychain.Keychain
	// Plain: the registry does not speak TLS. Untrusted: its certificates are not trusted.
	Plain, Untrusted bool
	// TokenRealms may be shown the credential besides.
	TokenRealms []string
	// SilenceLimit and MaxWaiting in place of the registry's own.
	SilenceLimit time.Duration
	MaxWaiting   int
	// Transfers are the places for transfers in flight; 0: without end.
	Transfers int
	// PassRedirects, AllowPull, AllowDelete and AllowSubRepositories are the operator's switches.
	PassRedirects, AllowPull, AllowDelete, AllowSubRepositories bool
	// Tenancy of the namespaced API.
	Tenancy source.Tenancy
	// Key of the upload sessions, as in a key file; random when empty.
	Key []byte
	// Now is the clock of the upload sessions.
	Now func() time.Time
	// Observer and Recorder count.
	Observer upstream.Observer
	Recorder httpserver.Recorder
}

// Caller makes a test's requests to a side.
type Caller struct {
	// URL of the side.
	URL string
	// Client follows no redirect and adds no header.
	Client *http.Client

	t testing.TB
}

// NewCaller makes a caller with connections of its own.
func NewCaller(t testing.TB, url string) *Caller {
	transport := &http.Transport{DisableCompression: true, ExpectContinueTimeout: time.Minute}
	t.Cleanup(transport.CloseIdleConnections)
	return &Caller{t: t, URL: url, Client: &http.Client{
		Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Proxy is a running the source proxy.
type Proxy struct {
	*Caller
	// Network has the registry, and every request that left the proxy.
	Network *registrytest.Network
	// Upstream is the configuration in force; it may be replaced between requests.
	Upstream *source.Upstream
	// Log is what was logged so far.
	Log *Log

	side *source.Proxy
}

// Log collects what is logged.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements [io.Writer].
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Robot is the keychain with the operator's credential.
func Robot() keychain.Keychain {
	return Fixed(keychain.Credential{Username: User, Password: Password})
}

// New starts a proxy before the registry [Host] of a network.
func New(t testing.TB, network *registrytest.Network, cfg Config) *Proxy {
	t.Helper()
	if cfg.Host == "" {
		cfg.Host = Host
	}
	if cfg.Keychain == nil {
		cfg.Keychain = Robot()
	}
	if cfg.Key == nil {
		cfg.Key = keyfile.Generate()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	keys, err := session.ParseKeys("keys of the test", cfg.Key)
	if err != nil {
		t.Fatal(err)
	}
	trusted := network.CA()
	if cfg.Untrusted {
		trusted = nil
	}
	registry, err := upstream.New(upstream.Config{
		Host: cfg.Host, PlainHTTP: cfg.Plain, CACertData: trusted, Keychain: cfg.Keychain, PassRedirects: cfg.PassRedirects,
		UserAgent: "local-source-proxy/test", Observer: cfg.Observer, Dial: network.Dial, RetryDelay: time.Microsecond,
		TokenRealms: cfg.TokenRealms, SilenceLimit: cfg.SilenceLimit, MaxWaiting: cfg.MaxWaiting,
	})
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Network: network, Log: &Log{}, Upstream: &source.Upstream{
		Registry: registry, Repository: Repository,
		AllowPull: cfg.AllowPull, AllowDelete: cfg.AllowDelete, AllowSubRepositories: cfg.AllowSubRepositories,
		Tenancy: cfg.Tenancy,
	}}
	forwarding := engine.New(session.NewSealer(keys, cfg.Now))
	if cfg.Transfers > 0 {
		forwarding.Transfers = httpserver.NewTransfers(cfg.Transfers)
	}
	p.side = source.New(forwarding, func() *source.Upstream { return p.Upstream })
	logger := slog.New(slog.NewJSONHandler(p.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	p.side.Log = logger
	server := httptest.NewServer(httpserver.AccessLog{Side: source.Side, Logger: logger, Recorder: cfg.Recorder}.Handler(p.side.Serve))
	t.Cleanup(func() {
		server.Close()
		registry.Close()
	})
	p.Caller = NewCaller(t, server.URL)
	return p
}

// API starts the namespaced API of the proxy, for an API server that the authority knows. The callers that it
// makes show a certificate; nil: none.
func (p *Proxy) API(authority *Authority) (caller func(shown *tls.Certificate) *Caller) {
	p.t.Helper()
	front, err := frontproxy.Parse(authority.Data())
	if err != nil {
		p.t.Fatal(err)
	}
	api := p.side.API(func() *frontproxy.Verifier { return front })
	logger := slog.New(slog.NewJSONHandler(p.Log, nil))
	server := httptest.NewUnstartedServer(httpserver.AccessLog{Side: source.APISide, Logger: logger}.Handler(api.Serve))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	p.t.Cleanup(server.Close)
	return func(shown *tls.Certificate) *Caller {
		caller := NewCaller(p.t, server.URL)
		config := &tls.Config{RootCAs: x509.NewCertPool()}
		config.RootCAs.AddCert(server.Certificate())
		if shown != nil {
			config.Certificates = []tls.Certificate{*shown}
		}
		caller.Client.Transport.(*http.Transport).TLSClientConfig = config
		return caller
	}
}

// Simple starts a proxy before a registry that deviates in nothing.
func Simple(t testing.TB, cfg Config) (*Proxy, *registrytest.Registry) {
	t.Helper()
	network, registry := registrytest.NewNetwork(t), registrytest.NewRegistry(t)
	host := cfg.Host
	if host == "" {
		host = Host
	}
	if cfg.Plain {
		network.ServePlain(host, registry)
	} else {
		network.Serve(host, registry)
	}
	return New(t, network, cfg), registry
}

// Option changes a request.
type Option func(*http.Request)

// Header sets a header.
func Header(name, value string) Option {
	return func(r *http.Request) { r.Header[http.CanonicalHeaderKey(name)] = []string{value} }
}

// Body sends a body with its length.
func Body(content []byte) Option {
	return func(r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(content)), int64(len(content))
	}
}

// Stream sends a body in chunks, without saying its length.
func Stream(content io.Reader) Option {
	return func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(content), -1 }
}

// Basic shows a user name and password.
func Basic(user, password string) Option {
	return func(r *http.Request) { r.SetBasicAuth(user, password) }
}

// Do makes a request; target is a path with query.
func (c *Caller) Do(method, target string, options ...Option) *Answer {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.URL+target, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, option := range options {
		option(r)
	}
	resp, err := c.Client.Do(r)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, target, err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("%s %s: read answer: %v", method, target, err)
	}
	return &Answer{t: c.t, Status: resp.StatusCode, Header: resp.Header, Body: content,
		what: method + " " + strings.SplitN(target, "?", 2)[0]}
}

// Start starts an upload and returns its Location.
func (p *Proxy) Start() string {
	p.t.Helper()
	return p.Do(http.MethodPost, "/v2/source/blobs/uploads/").Is(http.StatusAccepted).Location()
}

// PushBlob pushes a blob the way that the existing clients do: POST, PATCH with a stream, PUT.
func (p *Proxy) PushBlob(content []byte) {
	p.t.Helper()
	next := p.Do(http.MethodPatch, p.Start(), Stream(bytes.NewReader(content))).Is(http.StatusAccepted).Location()
	p.Finish(next, content).Is(http.StatusCreated).Has("Docker-Content-Digest", registrytest.Digest(content))
}

// Finish finishes an upload of a content that was sent before.
func (p *Proxy) Finish(location string, content []byte) *Answer {
	p.t.Helper()
	return p.Do(http.MethodPut, location+"?digest="+registrytest.Digest(content))
}

// Asked fails the test unless the registry was asked for exactly these methods and paths, greetings and token
// servers aside.
func (p *Proxy) Asked(want ...string) {
	p.t.Helper()
	var got []string
	for _, r := range p.Network.Requests() {
		if r.Path != "/v2/" && strings.HasPrefix(r.Path, "/v2/") {
			got = append(got, r.Method+" "+strings.TrimPrefix(r.Path, "/v2/"+Repository+"/"))
		}
	}
	if !slices.Equal(got, want) {
		p.t.Errorf("the registry was asked for\n%q, want\n%q", got, want)
	}
}
