// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path"
	"strings"
	"testing"
)

// ProxyPath is where the API server serves what stands behind the Service.
const ProxyPath = "/api/v1/namespaces/tap-local-source-system/services/http:local-source-proxy:5001/proxy"

// APIServer stands in for the Kubernetes API server's service proxy, as quirks K1, K2 and K5 say.
type APIServer struct {
	// URL is its address, without [ProxyPath].
	URL string
	// more answers paths outside of [ProxyPath]; nil: nothing does.
	more http.Handler
}

// NewAPIServer starts one in front of an address.
func NewAPIServer(t testing.TB, backend string) *APIServer {
	t.Helper()
	api := &APIServer{}
	proxy := &httputil.ReverseProxy{
		Transport: &http.Transport{DisableCompression: true},
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetXForwarded()
			r.Out.Header.Del("Authorization")
			r.Out.Header.Set("X-Forwarded-Uri", r.In.URL.Path)
			r.Out.URL = &url.URL{
				Scheme: "http", Host: backend,
				// Clients join paths with a cleaner that eats slashes at the end, and sort queries anew.
				Path:     path.Clean("/" + strings.TrimPrefix(r.In.URL.Path, ProxyPath)),
				RawQuery: r.In.URL.Query().Encode(),
			}
			r.Out.Host = backend
		},
		ModifyResponse: func(response *http.Response) error {
			if location := response.Header.Get("Location"); location != "" {
				response.Header.Set("Location", prefixed(location))
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusServiceUnavailable)
			// A client that is gone has nothing to be told.
			_ = json.NewEncoder(w).Encode(map[string]any{
				"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "ServiceUnavailable", "code": 503,
			})
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == ProxyPath || strings.HasPrefix(r.URL.Path, ProxyPath+"/"):
			proxy.ServeHTTP(w, r)
		case api.more != nil:
			api.more.ServeHTTP(w, r)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	api.URL = server.URL
	return api
}

// prefixed is what the service proxy makes of a Location: host-less and absolute ones get its prefix, and
// their path is decoded and cleaned; any other is left alone (quirk K1).
func prefixed(location string) string {
	parsed, err := url.Parse(location)
	if err != nil || parsed.Host != "" || !strings.HasPrefix(location, "/") {
		return location
	}
	return (&url.URL{Path: path.Join(ProxyPath, parsed.Path), RawQuery: parsed.RawQuery}).String()
}

// Transport sends a client's requests for the in-cluster name through the service proxy, as the published
// plug-in does: it puts the prefix in front unless a Location brought it already.
func (a *APIServer) Transport(t testing.TB) http.RoundTripper {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	host := strings.TrimPrefix(a.URL, "http://")
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		out := r.Clone(r.Context())
		out.URL.Scheme, out.URL.Host, out.Host = "http", host, host
		if !strings.HasPrefix(out.URL.Path, ProxyPath) {
			out.URL.Path = path.Join(ProxyPath, out.URL.Path)
		}
		out.URL.RawPath, out.URL.RawQuery = "", out.URL.Query().Encode()
		out.Header.Set("Authorization", "Bearer developers-cluster-token")
		return transport.RoundTrip(out)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
