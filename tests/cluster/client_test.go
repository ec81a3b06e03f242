// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// apiServer is the cluster's, and prefix the way through it to the proxy.
const (
	apiServer = nodeIP + ":6443"
	prefix    = "/api/v1/namespaces/" + namespace + "/services/http:local-source-proxy:5001/proxy"
)

// trusting is for servers with a certificate in pki/, or the API server's with an empty name.
func trusting(t *testing.T, file string) *tls.Config {
	t.Helper()
	path := filepath.Join(here.dir, "pki", file)
	if file == "" {
		path = filepath.Join(here.dir, "apiserver", "apiserver.crt")
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatalf("%s holds no certificate", path)
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

// throughAPIServer sends what is meant for the proxy to the API server, with a user's token, as the published
// client does: paths joined by a cleaner that eats the slash at the end.
type throughAPIServer struct {
	token string
	inner http.RoundTripper
	// way is where the proxy is: the service proxy's [prefix], or the namespaced API of a namespace.
	way string
}

// namespaced is where the source proxy of a namespace is in the API of the aggregation layer.
func namespaced(namespace string) string {
	return "/apis/localsource.apps.tanzu.vmware.com/v1alpha1/namespaces/" + namespace + "/sources/source/proxy"
}

// of is the same user at a namespace of the namespaced API.
func (a *throughAPIServer) of(namespace string) *throughAPIServer {
	return &throughAPIServer{token: a.token, inner: a.inner, way: namespaced(namespace)}
}

// as returns the transport of a user; the tokens are in pki/<user>.token.
func as(t *testing.T, user string) *throughAPIServer {
	t.Helper()
	inner := &http.Transport{TLSClientConfig: trusting(t, ""), MaxIdleConnsPerHost: 16}
	t.Cleanup(inner.CloseIdleConnections)
	return &throughAPIServer{token: here.secret(t, user+".token"), inner: inner, way: prefix}
}

// RoundTrip implements http.RoundTripper.
func (a *throughAPIServer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host, r.Host = "https", apiServer, ""
	if strings.HasPrefix(r.URL.Path, "/v2") { // a Location has it already
		r.URL.Path = a.way + strings.TrimSuffix(r.URL.Path, "/")
		r.URL.RawPath = ""
	}
	r.Header.Set("Authorization", "Bearer "+a.token)
	resp, err := a.inner.RoundTrip(r)
	if err == nil && resp.Header.Get("Location") != "" {
		resp.Header.Set("Location", pathOf(resp.Header.Get("Location")))
	}
	return resp, err
}

// answer is a response with its body read.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends one request to the proxy. The path begins with /, or is a Location.
func (a *throughAPIServer) do(ctx context.Context, method, path string, body io.Reader, header http.Header) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, "https://"+apiServer+path, body)
	if err != nil {
		return answer{}, err
	}
	for name, values := range header {
		r.Header[name] = values
	}
	resp, err := a.RoundTrip(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: string(content)}, nil
}

// pathOf is a Location without its host: the aggregation layer names the Service's own address (quirk K8).
func pathOf(location string) string {
	if _, behind, found := strings.Cut(location, "://"); found {
		_, path, _ := strings.Cut(behind, "/")
		return "/" + path
	}
	return location
}

// expect sends one request without a body and ends the test when the status is another.
func (a *throughAPIServer) expect(t *testing.T, status int, method, path string) answer {
	t.Helper()
	got, err := a.do(t.Context(), method, path, nil, nil)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if got.status != status {
		t.Fatalf("%s %s: status %d, not %d\n%s", method, path, got.status, status, got.body)
	}
	return got
}
