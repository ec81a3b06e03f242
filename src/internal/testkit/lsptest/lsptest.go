// SPDX-License-Identifier: Apache-2.0

package lsptest

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Prefix is the service proxy's path of the proxy's root.
const Prefix = "/api/v1/namespaces/tap-local-source-system/services/http:local-source-proxy:5001/proxy"

// Tokens of the cluster's users.
const (
	Developer = "token-of-a-developer"
	Stranger  = "token-of-somebody-without-rbac"
)

// State says what the cluster has instead of a working proxy.
type State int32

// Installed is a working proxy; Absent has no Service; NotReady has one without a ready pod.
const (
	Installed State = iota
	Absent
	NotReady
)

// Cluster is an API server with one Service.
type Cluster struct {
	*httptest.Server
	backend http.Handler
	state   atomic.Int32
	protos  chan string
	// Aggregation is asked first for paths outside of the service proxy; nil: the cluster has no namespaced API.
	Aggregation *Aggregation
	// API answers the others; nil answers 404.
	API http.Handler
}

// NewCluster starts an API server that offers HTTP/2, in front of backend. It ends with the test.
func NewCluster(t testing.TB, backend http.Handler) *Cluster {
	t.Helper()
	c := &Cluster{backend: backend, protos: make(chan string, 1024)}
	c.Server = httptest.NewUnstartedServer(c)
	c.EnableHTTP2 = true
	c.StartTLS()
	t.Cleanup(c.Close)
	return c
}

// Set changes what the cluster has.
func (c *Cluster) Set(s State) { c.state.Store(int32(s)) }

// Protos returns the protocol of each request so far.
func (c *Cluster) Protos() []string {
	var all []string
	for {
		select {
		case p := <-c.protos:
			all = append(all, p)
		default:
			return all
		}
	}
}

// CA is the certificate that clients must trust, in PEM.
func (c *Cluster) CA() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate().Raw})
}

// Config is a client configuration for the user with the token.
func (c *Cluster) Config(token string) *rest.Config {
	return &rest.Config{Host: c.URL, BearerToken: token, TLSClientConfig: rest.TLSClientConfig{CAData: c.CA()}}
}

// Kubeconfig writes a kubeconfig with one context for each named user and returns its path. The current
// context is "developer".
func (c *Cluster) Kubeconfig(t testing.TB) string {
	t.Helper()
	conf := clientcmdapi.NewConfig()
	conf.Clusters["test"] = &clientcmdapi.Cluster{Server: c.URL, CertificateAuthorityData: c.CA()}
	for name, token := range map[string]string{"developer": Developer, "stranger": Stranger, "expired": "old"} {
		conf.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: token}
		conf.Contexts[name] = &clientcmdapi.Context{Cluster: "test", AuthInfo: name, Namespace: "dev"}
	}
	conf.CurrentContext = "developer"
	path := t.TempDir() + "/config"
	if err := clientcmd.WriteToFile(*conf, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// ServeHTTP is the way through the API server (spec-local-source-proxy, "The way in"; quirks K1, K2, K5).
func (c *Cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case c.protos <- r.Proto:
	default:
	}
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if token != Developer && token != Stranger {
		status(w, http.StatusUnauthorized, "Unauthorized", "Unauthorized")
		return
	}
	rest, proxied := strings.CutPrefix(r.URL.Path, Prefix)
	user := map[string]string{Developer: User, Stranger: "stranger"}[token]
	switch {
	case !proxied && c.Aggregation != nil && c.Aggregation.serve(w, r, user):
	case !proxied && c.API != nil:
		c.API.ServeHTTP(w, r)
	case !proxied:
		status(w, http.StatusNotFound, "NotFound", "the server could not find the requested resource")
	case token == Stranger:
		status(w, http.StatusForbidden, "Forbidden",
			`services "http:local-source-proxy:5001" is forbidden: User "stranger" cannot get resource "services/proxy" in API group "" in the namespace "tap-local-source-system"`)
	case State(c.state.Load()) == Absent:
		status(w, http.StatusNotFound, "NotFound", `services "local-source-proxy" not found`)
	case State(c.state.Load()) == NotReady:
		status(w, http.StatusServiceUnavailable, "ServiceUnavailable",
			`no endpoints available for service "http:local-source-proxy:5001"`)
	default:
		r.Header.Del("Authorization")
		r.Header.Set("X-Forwarded-Uri", r.URL.Path)
		r.URL.Path = rest
		c.backend.ServeHTTP(&prefixer{w}, r)
	}
}

func status(w http.ResponseWriter, code int, reason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{ // the client is gone when this fails
		"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message, "code": code,
	})
}

// prefixer puts the service proxy's path in front of a Location without a host (quirk K1).
type prefixer struct{ http.ResponseWriter }

func (p *prefixer) WriteHeader(code int) {
	if l := p.Header().Get("Location"); strings.HasPrefix(l, "/") {
		path, query, found := strings.Cut(l, "?")
		path = Prefix + strings.ReplaceAll(strings.ReplaceAll(path, "%2F", "/"), "//", "/")
		if found {
			path += "?" + query
		}
		p.Header().Set("Location", path)
	}
	p.ResponseWriter.WriteHeader(code)
}

// Unwrap keeps the writer's other abilities.
func (p *prefixer) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// Health answers GET /health as the proxy does.
func Health(upstreamStatus int, message string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Lsp-Registry-Path", RegistryPath)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"statuscode": fmt.Sprint(upstreamStatus), "message": message})
	})
}
