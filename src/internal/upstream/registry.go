// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
)

// Config describes a registry.
type Config struct {
	// Host as in an image reference: host or host:port. The three names of Docker Hub are one (quirk A9).
	Host string
	// PlainHTTP says that the registry does not speak TLS. Unset, only a registry on a loopback address may
	// do so.
	PlainHTTP bool
	// CACertData are PEM certificates that are trusted beside the system's.
	CACertData []byte
	// Keychain has the credential; nil means anonymous.
	Keychain keychain.Keychain
	// TokenRealms are hosts, with a port where it is not 443, that may be shown the credential besides,
	// over https.
	TokenRealms []string
	// PassRedirects leaves redirects of downloads to the client instead of following them.
	PassRedirects bool
	// UserAgent is sent with every request.
	UserAgent string
	// Observer counts requests and token fetches; may be nil.
	Observer Observer
	// Log gets a debug line for every attempt, without secrets; may be nil.
	Log *slog.Logger
	// Dial opens connections in place of [net.Dialer], where the registry is not reached by its name.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// RetryDelay is the time before a request is repeated, which grows from there; 0 means 200 ms.
	RetryDelay time.Duration
	// SilenceLimit is how long the registry may be silent; 0 means a minute.
	SilenceLimit time.Duration
	// MaxWaiting is how many requests without a body may wait for the registry at a time; 0 means 256.
	MaxWaiting int
}

// Observer counts what happens on the upstream side.
type Observer interface {
	// UpstreamRequest is called once an attempt has an answer's header. Status is 0 when the registry did not
	// answer, and [StatusClientLeft] when the client went away before.
	UpstreamRequest(operation string, status int, elapsed time.Duration)
	// TokenFetch is called once a token was asked for; result is "ok", "refused" or "error".
	TokenFetch(result string)
}

// Registry is one upstream registry. It is safe for concurrent use.
type Registry struct {
	host        string // as in a reference
	api         string // where the distribution API is
	plainHTTP   bool
	userAgent   string
	keychain    keychain.Keychain
	observer    Observer
	log         *slog.Logger
	tokenRealms []string
	base        *http.Transport
	elsewhere   *http.Transport   // for where downloads are redirected to
	anonymous   http.RoundTripper // retried and measured, without a credential
	roundTrip   http.RoundTripper // the whole chain
	greeting    greeting
	manners     manners
	waiting     atomic.Int64
	pinned      atomic.Pointer[pin]
	tokens      *tokenCache
	refusals    refusals
	passBounce  bool
	scrubber    scrubber
}

// New makes a registry; it opens no connection yet. The error is about CACertData.
func New(cfg Config) (*Registry, error) {
	base, err := newTransport(cfg.CACertData)
	if err != nil {
		return nil, err
	}
	if cfg.Dial != nil {
		base.DialContext = cfg.Dial
	}
	limit := cmp.Or(cfg.SilenceLimit, silenceLimit)
	base.DialContext = watch(base.DialContext, limit)
	r := &Registry{
		host:        Canonical(cfg.Host),
		plainHTTP:   cfg.PlainHTTP,
		userAgent:   cfg.UserAgent,
		keychain:    cfg.Keychain,
		observer:    cfg.Observer,
		log:         cmp.Or(cfg.Log, slog.New(slog.DiscardHandler)),
		base:        base,
		tokens:      newTokenCache(),
		tokenRealms: cfg.TokenRealms,
		passBounce:  cfg.PassRedirects,
	}
	if r.keychain == nil {
		r.keychain = keychain.Func(func(context.Context, string) (keychain.Credential, error) { return keychain.Credential{}, nil })
	}
	if r.observer == nil {
		r.observer = unobserved{}
	}
	r.api = apiHost(r.host)
	r.scrubber = newScrubber(r.host, r.api)
	rules := reach{loopback: IsLoopback(r.api)}
	r.elsewhere = newElsewhere(base, cfg.Dial, rules, limit)
	chain := func(base http.RoundTripper) http.RoundTripper {
		sent := hold{bounded{base, limit, &r.waiting}, &r.manners}
		return genuine{retry{next: identify{r, measure{r, sent}}, delay: cmp.Or(cfg.RetryDelay, retryDelay)}}
	}
	r.anonymous = chain(base)
	r.roundTrip = gate{registry: r, limit: int64(cmp.Or(cfg.MaxWaiting, MaxWaiting)), waiting: &r.waiting, next: redirect{
		registry: r, credentialed: authenticate{r, r.anonymous}, anonymous: r.anonymous,
		elsewhere: elsewhere{direct: chain(r.elsewhere), proxied: r.anonymous, proxy: base.Proxy, rules: rules},
	}}
	return r, nil
}

// Host is the registry's name as in an image reference.
func (r *Registry) Host() string { return r.host }

// PassesRedirects reports whether redirects of downloads are left to the client.
func (r *Registry) PassesRedirects() bool { return r.passBounce }

// RoundTrip implements [http.RoundTripper]. A request that must survive being refused before its body is
// asked for has a body of package body. Errors are a [*Refusal] or of the network; their text may name the
// registry, so it is for the log.
func (r *Registry) RoundTrip(req *http.Request) (*http.Response, error) {
	return r.roundTrip.RoundTrip(req)
}

// Close closes the connections that are idle; those in use are closed when their request ends.
func (r *Registry) Close() {
	r.base.CloseIdleConnections()
	r.elsewhere.CloseIdleConnections()
}

// URL returns the address of a path and raw query of the distribution API. It may have to find out the
// scheme first.
func (r *Registry) URL(ctx context.Context, path, rawQuery string) (*url.URL, error) {
	scheme, err := r.scheme(ctx)
	if err != nil {
		return nil, fmt.Errorf("find out whether %s speaks TLS: %w", r.api, err)
	}
	return &url.URL{Scheme: scheme, Host: r.api, Path: path, RawQuery: rawQuery}, nil
}

// IsOwn reports whether a URL that this registry named is on this registry. Scheme and port are not
// compared: registries behind a load balancer often get theirs wrong (quirk U1), and what is asked next
// goes to the configured ones anyway.
func (r *Registry) IsOwn(u *url.URL) bool {
	return u.Host == "" || hostname(Canonical(u.Host)) == hostname(r.host) || hostname(u.Host) == hostname(r.api)
}

type unobserved struct{}

func (unobserved) UpstreamRequest(string, int, time.Duration) {}
func (unobserved) TokenFetch(string)                          {}
