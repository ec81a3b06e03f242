// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"k8s.io/client-go/rest"
)

// Namespace, Service and ServiceName are where the package installs the proxy (spec-local-source-proxy, "The
// way in").
const (
	Namespace = "tap-local-source-system"
	Service   = "local-source-proxy"
	// ServiceName is the resource name that RBAC sees, with the scheme and port that the API server shall
	// use.
	ServiceName = "http:local-source-proxy:5001"
)

// servicePath is the proxy's root, below that of the API server.
const servicePath = "/api/v1/namespaces/" + Namespace + "/services/" + ServiceName + "/proxy"

// RegistryPathHeader names the upstream repository in every answer of the proxy.
const RegistryPathHeader = "Lsp-Registry-Path"

// Client sends requests to one proxy. It is safe for concurrent use.
type Client struct {
	base    *url.URL
	http    *http.Client
	timeout time.Duration
	direct  bool
}

// New returns a client that goes through the API server of config. A timeout in config holds for requests
// without a body only: an upload takes as long as it takes.
func New(config *rest.Config) (*Client, error) {
	config = rest.CopyConfig(config)
	timeout := config.Timeout
	config.Timeout = 0
	config.NextProtos = []string{"http/1.1"}
	config.DisableCompression = true
	config.QPS = -1
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("read the API server's address: %w", err)
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("prepare the connection to the API server %s: %w", base.Host, err)
	}
	base.Path = strings.TrimRight(base.Path, "/") + servicePath
	return &Client{base: base, http: withoutRedirects(client), timeout: timeout}, nil
}

// Direct returns a client that talks to the proxy at server, such as "http://localhost:5002", without a
// credential. The TLS configuration may be nil. Each wrapper is put around the transport.
func Direct(
	server string, conf *tls.Config, timeout time.Duration, wrap ...func(http.RoundTripper) http.RoundTripper,
) (*Client, error) {
	base, err := url.Parse(server)
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" || base.RawQuery != "" || base.User != nil {
		return nil, fmt.Errorf("server %q: not an address such as http://localhost:5002", server)
	}
	if conf = conf.Clone(); conf == nil {
		conf = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	conf.NextProtos = []string{"http/1.1"}
	var transport http.RoundTripper = &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSClientConfig:     conf,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true,
	}
	for _, around := range wrap {
		transport = around(transport)
	}
	base.Path, base.RawPath, base.Fragment = strings.TrimRight(base.Path, "/"), "", ""
	return &Client{base: base, http: withoutRedirects(&http.Client{Transport: transport}), timeout: timeout, direct: true}, nil
}

// HTTPClient returns the connection to the API server for client-go's clients. It follows no redirect:
// client-go adds the user's credential to every request, whatever host it is for.
func HTTPClient(config *rest.Config) (*http.Client, error) {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("prepare the connection to the API server %s: %w", config.Host, err)
	}
	return &http.Client{Transport: noRedirects{client.Transport}, Timeout: client.Timeout}, nil
}

// noRedirects makes a redirect an error.
type noRedirects struct{ http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (n noRedirects) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := n.RoundTripper.RoundTrip(req)
	if err == nil && resp.StatusCode/100 == 3 && resp.Header.Get("Location") != "" {
		return nil, errors.Join(errRedirect, resp.Body.Close())
	}
	return resp, err
}

// errRedirect is the error for a redirect of the API server or the proxy, neither of which sends any.
var errRedirect = errors.New("a redirect to another address, which would get your credential and is not followed; " +
	"check the server in the kubeconfig, or --server")

// withoutRedirects keeps the credential where it belongs: a redirect is an answer, not an order.
func withoutRedirects(client *http.Client) *http.Client {
	client = &http.Client{Transport: client.Transport, Timeout: client.Timeout} // not http.DefaultClient itself
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client
}

// IsDirect reports whether the client goes to the proxy without the API server.
func (c *Client) IsDirect() bool { return c.direct }

// Base is the address that stands for the proxy's root. It holds no credential.
func (c *Client) Base() *url.URL { u := *c.base; return &u }

// RoundTripper sends a request as it is; its URL must be below Base.
func (c *Client) RoundTripper() http.RoundTripper { return c.http.Transport }

// CloseIdle closes the connections that nobody uses.
func (c *Client) CloseIdle() { c.http.CloseIdleConnections() }

// Request is what [Client.Do] sends.
type Request struct {
	Method string
	// Target is a path from the proxy's root, with a query if need be: "/v2/" or what [Client.Locate]
	// returned.
	Target string
	Header http.Header
	// Body may be nil. Length is its size in bytes, -1 when it is not known.
	Body   io.Reader
	Length int64
}

// Do sends the request. An answer of 400 or more is returned as an [*Error], which names what to do; the
// caller closes the body of any other. Errors of the connection carry neither path nor query.
func (c *Client) Do(ctx context.Context, r Request) (*http.Response, error) {
	cancel := func() {}
	if c.timeout > 0 && r.Body == nil {
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, c.base.String()+r.Target, r.Body)
	if err != nil {
		cancel()
		return nil, errors.New("request: the address is not valid")
	}
	for name, values := range r.Header {
		req.Header[name] = values
	}
	if r.Body != nil {
		req.ContentLength = r.Length
	}
	resp, err := c.http.Do(req)
	if err != nil {
		cancel()
		return nil, c.connectionError(err)
	}
	resp.Body = &cancelCloser{resp.Body, cancel}
	if resp.StatusCode >= http.StatusBadRequest {
		defer resp.Body.Close()
		return nil, ReadError(resp)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		defer resp.Body.Close()
		return nil, &Error{Status: resp.StatusCode, Origin: Unknown, Message: errRedirect.Error()}
	}
	return resp, nil
}

func (c *Client) connectionError(err error) error {
	if urlErr, ok := errors.AsType[*url.Error](err); ok {
		err = urlErr.Err // without the URL, whose query is nobody's business
	}
	if c.direct {
		return fmt.Errorf("reach the proxy at %s: %w", c.base.Host, err)
	}
	return fmt.Errorf("reach the API server %s: %w", c.base.Host, err)
}

// Locate turns the Location of an answer into a Target.
func (c *Client) Locate(resp *http.Response) (string, error) {
	location, err := resp.Location()
	if err != nil {
		return "", errors.New("the answer has no usable Location")
	}
	target, ok := c.Target(location)
	if !ok {
		return "", errors.New("the answer's Location is not below /v2/")
	}
	return target, nil
}

// Target is the part of an address from "/v2/" on, which is the proxy's. Whatever host or prefix comes before
// is not: the API server adds its own (quirk K1), boxes in front of it add others or forget one (quirk K6).
func (c *Client) Target(u *url.URL) (string, bool) {
	path := u.EscapedPath()
	if rest, ok := strings.CutPrefix(path, c.base.EscapedPath()); ok && strings.HasPrefix(rest, "/v2/") {
		path = rest
	} else if _, rest, ok := strings.Cut(path, servicePath); ok && strings.HasPrefix(rest, "/v2/") {
		path = rest
	} else if i := strings.Index(path, "/v2/"); i >= 0 {
		path = path[i:]
	} else {
		return "", false
	}
	if u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	return path, true
}

type cancelCloser struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (c *cancelCloser) Close() error {
	defer c.cancel()
	return c.ReadCloser.Close()
}
