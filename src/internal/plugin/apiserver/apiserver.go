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
	"sync"
	"sync/atomic"
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
	root    *url.URL // of the API server, or of the proxy
	http    *http.Client
	timeout time.Duration
	opts    Options
	api     string // the path of the namespaced API
	finding sync.Mutex
	way     atomic.Pointer[way] // nil until it is found
}

// New returns a client that goes through the API server of config. A timeout in config holds for requests
// without a body only: an upload takes as long as it takes.
func New(config *rest.Config, opts Options) (*Client, error) {
	c := &Client{opts: opts}
	if opts.Via != ViaService {
		var err error
		if c.api, err = apiPath(opts.Namespace); err != nil {
			return nil, err
		}
	}
	config = rest.CopyConfig(config)
	c.timeout, config.Timeout = config.Timeout, 0
	config.NextProtos = []string{"http/1.1"}
	config.DisableCompression = true
	config.QPS = -1
	root, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("read the API server's address: %w", err)
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("prepare the connection to the API server %s: %w", root.Host, err)
	}
	root.Path = strings.TrimRight(root.Path, "/")
	c.root, c.http = root, withoutRedirects(client)
	switch opts.Via {
	case ViaService:
		c.way.Store(c.newWay(ViaService, servicePath, "", ""))
	case ViaAPI:
		c.way.Store(c.newWay(ViaAPI, c.api, opts.Namespace, ""))
	}
	return c, nil
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
	c := &Client{root: base, http: withoutRedirects(&http.Client{Transport: transport}), timeout: timeout}
	c.way.Store(c.newWay(ViaServer, "", "", ""))
	return c, nil
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
	w, err := c.find(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := c.send(ctx, w, r)
	c.learn(w, err)
	return resp, err
}

func (c *Client) send(ctx context.Context, w *way, r Request) (*http.Response, error) {
	cancel := func() {}
	if c.timeout > 0 && r.Body == nil {
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, w.base.String()+r.Target, r.Body)
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
		return nil, w.readError(resp)
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
	if c.Via() == ViaServer {
		return fmt.Errorf("reach the proxy at %s: %w", c.root.Host, err)
	}
	return fmt.Errorf("reach the API server %s: %w", c.root.Host, err)
}

type cancelCloser struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (c *cancelCloser) Close() error {
	defer c.cancel()
	return c.ReadCloser.Close()
}
