// SPDX-License-Identifier: Apache-2.0

package imageproxy_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy"
)

func TestOf(t *testing.T) {
	proxies, err := imageproxy.ParseTrustedProxies("10.0.0.0/8, 2001:db8::/32,192.0.2.9")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		peer      string
		forwarded []string
		proto     string
		tls       bool
		address   string
		https     bool
	}{
		"straight":                         {peer: "203.0.113.7:1", address: "203.0.113.7"},
		"straight over TLS":                {peer: "203.0.113.7:1", tls: true, address: "203.0.113.7", https: true},
		"a stranger's word":                {peer: "203.0.113.7:1", forwarded: []string{"198.51.100.1"}, proto: "https", address: "203.0.113.7"},
		"a stranger denies TLS":            {peer: "203.0.113.7:1", tls: true, proto: "http", address: "203.0.113.7", https: true},
		"a proxy":                          {peer: "10.1.2.3:1", forwarded: []string{"198.51.100.1"}, proto: "https", address: "198.51.100.1", https: true},
		"a proxy by its address":           {peer: "192.0.2.9:1", forwarded: []string{"198.51.100.1"}, address: "198.51.100.1"},
		"an address beside it":             {peer: "192.0.2.8:1", forwarded: []string{"198.51.100.1"}, address: "192.0.2.8"},
		"two proxies":                      {peer: "10.1.2.3:1", forwarded: []string{"198.51.100.1, 10.9.9.9"}, address: "198.51.100.1"},
		"two lines":                        {peer: "10.1.2.3:1", forwarded: []string{"198.51.100.1", "10.9.9.9"}, address: "198.51.100.1"},
		"a client that lies to a proxy":    {peer: "10.1.2.3:1", forwarded: []string{"198.51.100.66, 198.51.100.1"}, address: "198.51.100.1"},
		"a client that says it is a proxy": {peer: "10.1.2.3:1", forwarded: []string{"198.51.100.66, 10.0.0.1, 198.51.100.1"}, address: "198.51.100.1"},
		"with a port":                      {peer: "10.1.2.3:1", forwarded: []string{"198.51.100.1:443"}, address: "198.51.100.1"},
		"IPv6":                             {peer: "[2001:db8::1]:1", forwarded: []string{"2001:0db9::1"}, address: "2001:db9::1"},
		"IPv4 in IPv6":                     {peer: "[::ffff:10.1.2.3]:1", forwarded: []string{"::ffff:198.51.100.1"}, address: "198.51.100.1"},
		"a proxy that says nothing":        {peer: "10.1.2.3:1", tls: true, address: "10.1.2.3", https: true},
		"nonsense":                         {peer: "10.1.2.3:1", forwarded: []string{"198.51.100.1, unknown"}, proto: "gopher", address: "10.1.2.3"},
		"a list of schemes":                {peer: "10.1.2.3:1", proto: "HTTPS, http", address: "10.1.2.3", https: true},
		"no peer":                          {peer: "@", forwarded: []string{"198.51.100.1"}, address: "invalid IP"},
		"a proxy on TLS says http":         {peer: "10.1.2.3:1", tls: true, proto: "http", address: "10.1.2.3", https: true},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = test.peer
		for _, line := range test.forwarded {
			r.Header.Add("X-Forwarded-For", line)
		}
		if test.proto != "" {
			r.Header.Set("X-Forwarded-Proto", test.proto)
		}
		if test.tls {
			r.TLS = &tls.ConnectionState{}
		}
		if got := proxies.Of(r); got.Address.String() != test.address || got.TLS != test.https {
			t.Errorf("%s: %s, TLS %t, want %s, TLS %t", name, got.Address, got.TLS, test.address, test.https)
		}
	}
}

func TestParse(t *testing.T) {
	for _, list := range []string{"", " ", "10.0.0.0/8", "10.1.2.3/8,::1/128", "127.0.0.1"} {
		if _, err := imageproxy.ParseTrustedProxies(list); err != nil {
			t.Errorf("%q: %v", list, err)
		}
	}
	for _, list := range []string{"10.0.0.0/33", "ingress", "10.0.0.0/8;::1/128", "fe80::1%eth0"} {
		if _, err := imageproxy.ParseTrustedProxies(list); err == nil || !strings.Contains(err.Error(), "is not a network: write it like") {
			t.Errorf("%q: the error is %v", list, err)
		}
	}
}
