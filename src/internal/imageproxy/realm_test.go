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

// way is one by which a request reaches the side.
type way struct {
	external, proxies string
	peer, host        string
	tls               bool
	header            http.Header
}

func (a way) realm(t *testing.T, worlds map[[2]string]*world) string {
	t.Helper()
	key := [2]string{a.external, a.proxies}
	if worlds[key] == nil {
		worlds[key] = newWorld(t, config{external: a.external, proxies: a.proxies})
	}
	r := httptest.NewRequest(http.MethodGet, image+"/manifests/v1", nil)
	r.RemoteAddr, r.Host = a.peer, a.host
	for name, values := range a.header {
		r.Header[name] = values
	}
	if a.tls {
		r.TLS = &tls.ConnectionState{}
	}
	answer := httptest.NewRecorder()
	worlds[key].handler.ServeHTTP(answer, r)
	if answer.Code != http.StatusUnauthorized {
		t.Fatalf("%+v: answered %d", a, answer.Code)
	}
	_, rest, _ := strings.Cut(answer.Header().Get("WWW-Authenticate"), `realm="`)
	realm, _, _ := strings.Cut(rest, `"`)
	return strings.TrimSuffix(realm, "/v2/token")
}

// TestRealm: a client shows its license id to the realm. It is asked by TLS on every way in, but on its own
// machine and where the vendor said http.
func TestRealm(t *testing.T) {
	const client, terminator, machine = "203.0.113.7:1", "10.1.2.3:1", "127.0.0.1:1"
	const one, two = "https://images.example.com", "https://images.example.com,https://Images.Example.ORG:8443"
	forged := http.Header{
		"X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"evil.example"}, "X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Port": {"80"},
		"Forwarded": {"proto=http;host=evil.example;for=127.0.0.1"}, "X-Forwarded-Ssl": {"off"}, "X-Original-Host": {"evil.example"}, "X-Forwarded-Server": {"evil.example"},
	}
	byTLS := http.Header{"X-Forwarded-Proto": {"https"}, "X-Forwarded-For": {"203.0.113.7"}}
	byHTTP := http.Header{"X-Forwarded-Proto": {"http"}, "X-Forwarded-For": {"203.0.113.7"}}
	worlds := map[[2]string]*world{}
	for name, test := range map[string]struct {
		way
		want string
	}{
		"TLS of ours":                            {way{peer: client, host: "a.example.com", tls: true}, "https://a.example.com"},
		"TLS of ours on loopback":                {way{peer: machine, host: "localhost:5003", tls: true}, "https://localhost:5003"},
		"TLS of ours, a listed name":             {way{external: one, peer: client, host: "images.example.com:443", tls: true}, "https://images.example.com:443"},
		"TLS of ours, a name that is not listed": {way{external: one, peer: client, host: "a.example.com", tls: true}, "https://images.example.com"},
		"TLS of ours, http listed":               {way{external: "http://a.example.com", peer: client, host: "a.example.com", tls: true}, "https://a.example.com"},

		"terminator":                               {way{peer: terminator, host: "a.example.com"}, "https://a.example.com"},
		"terminator, listed":                       {way{external: one, peer: terminator, host: "images.example.com"}, "https://images.example.com"},
		"terminator, listed, another case":         {way{external: one, peer: terminator, host: "IMAGES.example.com"}, "https://IMAGES.example.com"},
		"terminator, the second name":              {way{external: two, peer: terminator, host: "images.example.org:8443"}, "https://images.example.org:8443"},
		"terminator, the second name's other port": {way{external: two, peer: terminator, host: "images.example.org"}, "https://images.example.com"},
		"terminator that writes the pod's address": {way{external: two, peer: terminator, host: "10.244.0.7:5003"}, "https://images.example.com"},
		"terminator that writes loopback":          {way{external: two, peer: machine, host: "127.0.0.1:5003"}, "https://images.example.com"},
		"terminator that writes nonsense":          {way{external: two, peer: terminator, host: `a"b`}, "https://images.example.com"},
		"terminator on this machine":               {way{peer: machine, host: "a.example.com"}, "https://a.example.com"},
		"trusted terminator":                       {way{proxies: "10.0.0.0/8", peer: terminator, host: "a.example.com", header: byTLS}, "https://a.example.com"},
		"trusted terminator, listed":               {way{external: one, proxies: "10.0.0.0/8", peer: terminator, host: "images.example.com", header: byTLS}, "https://images.example.com"},
		"trusted terminator on loopback":           {way{proxies: "127.0.0.1", peer: machine, host: "localhost:8443", header: http.Header{"X-Forwarded-Proto": {"https"}}}, "https://localhost:8443"},
		"trusted, its client spoke http":           {way{proxies: "10.0.0.0/8", peer: terminator, host: "a.example.com", header: byHTTP}, "https://a.example.com"},
		"trusted, its client spoke http, listed":   {way{external: one, proxies: "10.0.0.0/8", peer: terminator, host: "images.example.com", header: byHTTP}, "https://images.example.com"},

		"forged":                       {way{peer: client, host: "a.example.com", header: forged}, "https://a.example.com"},
		"forged, by TLS":               {way{peer: client, host: "a.example.com", tls: true, header: forged}, "https://a.example.com"},
		"forged, listed":               {way{external: one, peer: client, host: "images.example.com", header: forged}, "https://images.example.com"},
		"forged, through the trusted":  {way{external: one, proxies: "10.0.0.0/8", peer: terminator, host: "images.example.com", header: forged}, "https://images.example.com"},
		"forged host":                  {way{external: one, peer: terminator, host: "evil.example", header: forged}, "https://images.example.com"},
		"forged host, nothing listed":  {way{peer: client, host: "localhost"}, "https://localhost"},
		"forged host and address":      {way{peer: client, host: "localhost", header: forged}, "https://localhost"},
		"forged, trusted, from inside": {way{proxies: "10.0.0.0/8", peer: terminator, host: "a.example.com", header: forged}, "https://a.example.com"},

		"plain on loopback":                  {way{peer: machine, host: "localhost:5003"}, "http://localhost:5003"},
		"plain on loopback by IPv6":          {way{peer: "[::1]:1", host: "[::1]:5003"}, "http://[::1]:5003"},
		"plain on loopback, another name":    {way{peer: machine, host: "a.example.com:5003"}, "https://a.example.com:5003"},
		"plain elsewhere":                    {way{peer: client, host: "192.0.2.1:5003"}, "https://192.0.2.1:5003"},
		"plain, said so":                     {way{external: "http://images.internal:30080", peer: client, host: "images.internal:30080"}, "http://images.internal:30080"},
		"plain, said so, another name":       {way{external: "http://images.internal:30080", peer: client, host: "192.0.2.1:30080"}, "http://images.internal:30080"},
		"plain, said so, and the port is 80": {way{external: "http://images.internal", peer: client, host: "images.internal:80"}, "http://images.internal:80"},
	} {
		if got := test.realm(t, worlds); got != test.want {
			t.Errorf("%s: the realm is on %s, want %s", name, got, test.want)
		}
	}
}

func TestExternalURLs(t *testing.T) {
	for list, plain := range map[string]bool{
		"": false, " ": false, "https://a.example.com": false, "https://a.example.com:8443/": false, "https://[2001:db8::1]:8443 , https://b": false,
		"http://localhost:5003": true, "https://a.example.com,http://b.example.com": true,
	} {
		if all, err := imageproxy.ParseExternalURLs(list); err != nil || all.Plain() != plain {
			t.Errorf("%q: %v, %v", list, all, err)
		}
	}
	for _, list := range []string{
		"a.example.com", "a.example.com:443", "ftp://a.example.com", "//a.example.com", "https://", "https://a.example.com/images", "https://a.example.com?x",
		"https://user@a.example.com", "https://a.example.com#x", "https://a.example.com:port", `https://a"b`, "https://a.example.com https://b.example.com",
		"https://a.example.com//", "HTTPS://a.example.com", "https://*.example.com",
	} {
		if _, err := imageproxy.ParseExternalURLs(list); err == nil || !strings.Contains(err.Error(), "write https://images.example.com") {
			t.Errorf("%q: the error is %v", list, err)
		}
	}
}
