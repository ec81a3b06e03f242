// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	containers "github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// public is the vendor's domain; a terminator has a certificate for it.
const public = "example.com"

// terminator ends TLS in front of a server, by plain HTTP, and is trusted by nobody. Its client leads every
// name to it, and notes what it sent in plain text.
type terminator struct {
	mu     sync.Mutex
	plain  []string
	dialed http.RoundTripper
}

func newTerminator(t *testing.T, server *harness.Server, keepHost bool) *terminator {
	t.Helper()
	target := &url.URL{Scheme: "http", Host: server.Images}
	front := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.SetXForwarded()
		if keepHost {
			r.Out.Host = r.In.Host
		}
	}})
	t.Cleanup(front.Close)
	transport := front.Client().Transport.(*http.Transport).Clone()
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, front.Listener.Addr().String())
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &terminator{dialed: transport}
}

// RoundTrip implements [http.RoundTripper].
func (p *terminator) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" || r.URL.Hostname() != public {
		p.mu.Lock()
		p.plain = append(p.plain, r.URL.Scheme+"://"+r.URL.Host)
		p.mu.Unlock()
	}
	return p.dialed.RoundTrip(r)
}

// TestATerminatorThatIsNotTrusted: clients show their license by TLS and to the vendor's domain alone, also
// where the terminator writes a host of its own.
func TestATerminatorThatIsNotTrusted(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	acme := v.license("acme")
	digest := v.pushed("private", "v1")
	for what, test := range map[string]struct {
		flags    []string
		keepHost bool
	}{
		"nothing is said":     {nil, true},
		"a URL":               {[]string{"--image-proxy-external-url=https://" + public}, true},
		"a host of its own":   {[]string{"--image-proxy-external-url=https://" + public}, false},
		"the second of two":   {[]string{"--image-proxy-external-url=https://other.example.com,https://" + public}, true},
		"addresses of others": {[]string{"--image-proxy-external-url=https://" + public, "--image-proxy-trusted-proxies=192.0.2.0/24"}, true},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			front := newTerminator(t, v.serve(test.flags...), test.keepHost)
			reference, err := containers.NewTag(public + "/" + name("private") + ":v1")
			if err != nil {
				t.Fatal(err)
			}
			pulled, err := remote.Image(reference, remote.WithTransport(front), remote.WithContext(t.Context()),
				remote.WithAuth(&authn.Basic{Username: "LICENSE_ID", Password: acme.id}))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := pulled.Digest(); err != nil || got.String() != digest {
				t.Errorf("pulled %s, %v, want %s", got, err, digest)
			}
			if len(front.plain) > 0 {
				t.Errorf("the client went to %v", front.plain)
			}
		})
	}
}
