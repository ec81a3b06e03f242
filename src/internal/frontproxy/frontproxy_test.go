// SPDX-License-Identifier: Apache-2.0

package frontproxy_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/frontproxy"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
)

// TestAuthenticate: only the certificate of the front proxy opens, and only then the headers count.
func TestAuthenticate(t *testing.T) {
	ours, other := proxytest.NewAuthority(t), proxytest.NewAuthority(t)
	later := time.Now().Add(time.Hour)
	front := ours.FrontProxy().Leaf
	forged := http.Header{"X-Remote-User": {"jane"}, "X-Remote-Group": {"a", "b"}}
	for name, tt := range map[string]struct {
		shown  []*x509.Certificate
		header http.Header
		names  string
		want   frontproxy.User
		err    string
	}{
		"the front proxy":                     {shown: []*x509.Certificate{front}, header: forged, want: frontproxy.User{Name: "jane", Groups: 2}},
		"the second header":                   {shown: []*x509.Certificate{front}, header: http.Header{"X-Other-User": {"joe"}}, want: frontproxy.User{Name: "joe"}},
		"an empty first header":               {shown: []*x509.Certificate{front}, header: http.Header{"X-Remote-User": {" "}, "X-Other-User": {"joe"}}, want: frontproxy.User{Name: "joe"}},
		"any name":                            {shown: []*x509.Certificate{ours.Issue("else", x509.ExtKeyUsageClientAuth, later).Leaf}, header: forged, names: `[]`, want: frontproxy.User{Name: "jane", Groups: 2}},
		"no certificate":                      {header: forged, err: "no certificate"},
		"another name":                        {shown: []*x509.Certificate{ours.Issue("kubelet", x509.ExtKeyUsageClientAuth, later).Leaf}, header: forged, err: "another name"},
		"another authority":                   {shown: []*x509.Certificate{other.Issue("front-proxy", x509.ExtKeyUsageClientAuth, later).Leaf}, header: forged, err: "not the API server's"},
		"another authority that sends its CA": {shown: []*x509.Certificate{other.Issue("front-proxy", x509.ExtKeyUsageClientAuth, later).Leaf, other.Certificate()}, header: forged, err: "not the API server's"},
		"a server's certificate":              {shown: []*x509.Certificate{ours.Issue("front-proxy", x509.ExtKeyUsageServerAuth, later).Leaf}, header: forged, err: "not the API server's"},
		"one that has ended":                  {shown: []*x509.Certificate{ours.Issue("front-proxy", x509.ExtKeyUsageClientAuth, time.Now().Add(-time.Minute)).Leaf}, header: forged, err: "not the API server's"},
		"ours behind a stranger's":            {shown: []*x509.Certificate{other.Issue("front-proxy", x509.ExtKeyUsageClientAuth, later).Leaf, front}, header: forged, err: "not the API server's"},
		"no user":                             {shown: []*x509.Certificate{front}, header: http.Header{}, err: "no user"},
	} {
		t.Run(name, func(t *testing.T) {
			now := ours.Data()
			if tt.names != "" {
				now["requestheader-allowed-names"] = tt.names
			}
			v, err := frontproxy.Parse(now)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header, r.TLS = tt.header, &tls.ConnectionState{PeerCertificates: tt.shown}
			got, err := v.Authenticate(r)
			if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%+v, %v; want %+v, %q", got, err, tt.want, tt.err)
			}
			r.TLS = nil
			if _, err := v.Authenticate(r); err == nil {
				t.Error("let in without TLS")
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	good := proxytest.NewAuthority(t).Data()["requestheader-client-ca-file"]
	for name, data := range map[string]map[string]string{
		"nothing":        {},
		"no certificate": {"requestheader-client-ca-file": "x", "requestheader-username-headers": `["X-Remote-User"]`},
		"no header":      {"requestheader-client-ca-file": good},
		"no list":        {"requestheader-client-ca-file": good, "requestheader-username-headers": `X-Remote-User`},
		"names no list":  {"requestheader-client-ca-file": good, "requestheader-username-headers": `["X-Remote-User"]`, "requestheader-allowed-names": `{}`},
	} {
		if _, err := frontproxy.Parse(data); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
