// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
)

const (
	apiGroup = "localsource.apps.tanzu.vmware.com"
	apiRoot  = "/apis/" + apiGroup + "/v1alpha1"
	apiTail  = "/sources/source/proxy"
)

// Aggregation stands in for the API server's aggregation layer, with a namespaced API behind it: discovery,
// RBAC, access reviews, and Locations that name a ClusterIP (quirk K8). What it forwards goes to a source proxy
// that allows sub-repositories: "source" of a namespace is "source/<namespace>" there. Everybody is the same
// developer: clients send no token without TLS.
type Aggregation struct {
	// Namespaces are those in which the developer may push.
	Namespaces []string

	backend string
	mu      sync.Mutex
	down    bool
	reviews []map[string]string
}

// Aggregate adds the layer to the stand-in, ahead of its first request.
func (a *APIServer) Aggregate(backend string, namespaces ...string) *Aggregation {
	layer := &Aggregation{Namespaces: namespaces, backend: backend}
	a.more = layer
	return layer
}

// SetDown makes all pods of the API go away, or come back.
func (a *Aggregation) SetDown(down bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = down
}

// Reviews returns the resource attributes of the access reviews so far.
func (a *Aggregation) Reviews() []map[string]string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.reviews)
}

// ServeHTTP implements [http.Handler].
func (a *Aggregation) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	down := a.down
	a.mu.Unlock()
	version := map[string]any{"groupVersion": apiGroup + "/v1alpha1", "version": "v1alpha1"}
	switch {
	case r.URL.Path == "/api":
		answer(w, http.StatusOK, map[string]any{"kind": "APIVersions", "versions": []string{}})
	case r.URL.Path == "/apis":
		answer(w, http.StatusOK, map[string]any{"kind": "APIGroupList", "apiVersion": "v1", "groups": []any{
			map[string]any{"name": apiGroup, "versions": []any{version}, "preferredVersion": version},
		}})
	case strings.HasSuffix(r.URL.Path, "/selfsubjectaccessreviews"):
		a.review(w, r)
	case r.URL.Path == apiRoot && down:
		http.Error(w, "service unavailable", http.StatusServiceUnavailable)
	case r.URL.Path == apiRoot:
		answer(w, http.StatusOK, map[string]any{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": apiGroup + "/v1alpha1", "resources": []any{
			map[string]any{"name": "sources", "singularName": "source", "namespaced": true, "kind": "Source", "verbs": []string{}},
			map[string]any{"name": "sources/proxy", "singularName": "", "namespaced": true, "kind": "Source", "verbs": []string{"create", "get", "patch", "update"}},
		}})
	case strings.HasPrefix(r.URL.Path, apiRoot+"/namespaces/"):
		a.namespaced(w, r, down)
	default:
		http.NotFound(w, r)
	}
}

func (a *Aggregation) namespaced(w http.ResponseWriter, r *http.Request, down bool) {
	namespace, rest, found := strings.Cut(strings.TrimPrefix(r.URL.Path, apiRoot+"/namespaces/"), apiTail)
	switch {
	case !found || !slices.Contains(a.Namespaces, namespace):
		fail(w, http.StatusForbidden, "Forbidden", `sources.`+apiGroup+` "source" is forbidden: User "jane" cannot use resource "sources/proxy" in API group "`+
			apiGroup+`" in the namespace "`+namespace+`"`)
	case down:
		http.Error(w, "service unavailable", http.StatusServiceUnavailable)
	default:
		a.proxy(namespace, rest).ServeHTTP(w, r)
	}
}

// proxy forwards for a namespace. rest is the path behind the proxy's root.
func (a *Aggregation) proxy(namespace, rest string) *httputil.ReverseProxy {
	own := "/v2/source/" + namespace + "/"
	prefix := apiRoot + "/namespaces/" + namespace + apiTail
	return &httputil.ReverseProxy{
		Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true},
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.Header.Del("Authorization")
			r.Out.URL = &url.URL{
				Scheme: "http", Host: a.backend, Path: path.Clean("/" + strings.Replace(rest, "/v2/source/", own, 1)),
				RawQuery: r.In.URL.Query().Encode(),
			}
			r.Out.Host = a.backend
		},
		ModifyResponse: func(resp *http.Response) error {
			if location := resp.Header.Get("Location"); strings.HasPrefix(location, own) {
				resp.Header.Set("Location", "https://10.96.87.160:443"+prefix+strings.Replace(location, own, "/v2/source/", 1))
			}
			if target := resp.Header.Get("Lsp-Registry-Path"); target != "" {
				resp.Header.Set("Lsp-Registry-Path", target+"/"+namespace)
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			http.Error(w, "error trying to reach service", http.StatusServiceUnavailable)
		},
	}
}

func (a *Aggregation) review(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	sent, ours := bytes.CutPrefix(body, []byte("k8s\x00"))
	if err != nil || !ours {
		fail(w, http.StatusUnsupportedMediaType, "UnsupportedMediaType", "this stand-in reads protobuf alone, which kubectl sends")
		return
	}
	asked := attributes(sent)
	a.mu.Lock()
	a.reviews = append(a.reviews, asked)
	a.mu.Unlock()
	answer(w, http.StatusCreated, map[string]any{
		"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1",
		"status": map[string]any{"allowed": slices.Contains(a.Namespaces, asked["namespace"])},
	})
}

// attributes reads the ResourceAttributes of a SelfSubjectAccessReview (k8s.io/api, authorization/v1,
// generated.proto, in the envelope of k8s.io/apimachinery, runtime.Unknown).
func attributes(envelope []byte) map[string]string {
	const raw, spec, resource = 2, 2, 1
	found := map[string]string{}
	of := fields(fields(fields(envelope)[raw])[spec])[resource]
	for i, name := range []string{"namespace", "verb", "group", "version", "resource", "subresource", "name"} {
		if value := fields(of)[uint64(i)+1]; len(value) > 0 {
			found[name] = string(value)
		}
	}
	return found
}

// fields splits a protobuf message into its fields with a length, by number.
func fields(message []byte) map[uint64][]byte {
	found := map[uint64][]byte{}
	for len(message) > 0 {
		tag, n := binary.Uvarint(message)
		value, m := binary.Uvarint(message[max(n, 0):])
		if n <= 0 || m <= 0 {
			return found
		}
		message = message[n+m:]
		if tag&7 == 2 {
			length := min(value, uint64(len(message)))
			found[tag>>3], message = message[:length], message[length:]
		}
	}
	return found
}

func fail(w http.ResponseWriter, code int, reason, message string) {
	answer(w, code, map[string]any{
		"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message, "code": code,
	})
}

func answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // a client that is gone has nothing to be told
}
