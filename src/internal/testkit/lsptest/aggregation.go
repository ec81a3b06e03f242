// SPDX-License-Identifier: Apache-2.0

package lsptest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/kubernetes/scheme"
)

// User is the developer's name to whatever is behind the aggregation layer.
const User = "jane"

const (
	apiGroup   = "localsource.apps.tanzu.vmware.com"
	apiRoot    = "/apis/" + apiGroup + "/v1alpha1"
	apiService = "/apis/apiregistration.k8s.io/v1/apiservices/v1alpha1." + apiGroup
)

// Aggregation is the API server's aggregation layer with the namespaced API behind it. Set it as
// [Cluster.Aggregation].
type Aggregation struct {
	// URL is where the API listens, and Transport shows it the front proxy's certificate.
	URL       string
	Transport http.RoundTripper
	// Unavailable: no pod of the API answers. Hidden: discovery and the APIService may not be read.
	Unavailable, Hidden bool
	// Denied says whether RBAC denies the developer a verb of sources/proxy in a namespace; nil denies nothing.
	Denied func(verb, namespace string) bool

	mu  sync.Mutex
	log []string
}

// Log returns "METHOD path" of each request so far and forgets them, those for the APIService aside.
func (a *Aggregation) Log() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	log := a.log
	a.log = nil
	return log
}

// serve answers what is the layer's, as Kubernetes 1.34 was seen to, and reports whether it was.
func (a *Aggregation) serve(w http.ResponseWriter, r *http.Request, user string) bool {
	switch {
	case strings.HasSuffix(r.URL.Path, "/selfsubjectaccessreviews"):
		return a.review(w, r, user)
	case r.URL.Path == apiService:
		a.service(w)
	case r.URL.Path == apiRoot || strings.HasPrefix(r.URL.Path, apiRoot+"/"):
		a.mu.Lock()
		a.log = append(a.log, r.Method+" "+r.URL.Path)
		a.mu.Unlock()
		a.forward(w, r, user)
	default:
		return false
	}
	return true
}

func (a *Aggregation) forward(w http.ResponseWriter, r *http.Request, user string) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, apiRoot), "/")
	verb := map[string]string{"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[r.Method]
	if verb == "" {
		verb = "get"
	}
	switch {
	case a.Hidden && len(parts) < 3:
		status(w, http.StatusForbidden, "Forbidden", `forbidden: User "`+user+`" cannot get path "`+apiRoot+`"`)
	case len(parts) >= 3 && a.denied(user, verb, parts[2]):
		status(w, http.StatusForbidden, "Forbidden", fmt.Sprintf(
			`sources.%[1]s "source" is forbidden: User %[2]q cannot %[3]s resource "sources/proxy" in API group %[1]q in the namespace %[4]q`,
			apiGroup, user, verb, parts[2]))
	case a.Unavailable:
		http.Error(w, "service unavailable", http.StatusServiceUnavailable)
	default:
		a.proxy(user).ServeHTTP(w, r)
	}
}

func (a *Aggregation) denied(user, verb, namespace string) bool {
	return user != User || a.Denied != nil && a.Denied(verb, namespace)
}

// proxy forwards as the layer does: a Location without a host comes back with the Service's ClusterIP.
func (a *Aggregation) proxy(user string) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport: a.Transport,
		ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Rewrite: func(p *httputil.ProxyRequest) {
			target, err := url.Parse(a.URL)
			if err != nil {
				return // of no test
			}
			p.Out.URL.Scheme, p.Out.URL.Host, p.Out.Host = target.Scheme, target.Host, ""
			p.Out.URL.RawQuery = p.In.URL.Query().Encode()
			p.Out.Header.Del("Authorization")
			p.Out.Header["X-Remote-User"] = []string{user}
			p.Out.Header["X-Remote-Group"] = []string{"devs", "system:authenticated"}
		},
		ModifyResponse: func(resp *http.Response) error {
			if location := resp.Header.Get("Location"); strings.HasPrefix(location, "/") {
				resp.Header.Set("Location", "https://10.96.87.160:443"+location)
			}
			return nil
		},
	}
}

func (a *Aggregation) service(w http.ResponseWriter) {
	condition := map[string]string{"type": "Available", "status": "True", "reason": "Passed",
		"message": "all checks passed"}
	switch {
	case a.Hidden:
		status(w, http.StatusForbidden, "Forbidden", "apiservices.apiregistration.k8s.io is forbidden")
		return
	case a.Unavailable:
		condition = map[string]string{"type": "Available", "status": "False", "reason": "MissingEndpoints",
			"message": "endpoints have no addresses\nwith port name api"}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{ // the client is gone when this fails
		"kind": "APIService", "apiVersion": "apiregistration.k8s.io/v1",
		"status": map[string]any{"conditions": []any{condition}},
	})
}

// review answers for the rights of the namespaced API.
func (a *Aggregation) review(w http.ResponseWriter, r *http.Request, user string) bool {
	body, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil {
		return false
	}
	decoded, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil) // clients choose the encoding
	asked, ok := decoded.(*authorizationv1.SelfSubjectAccessReview)
	if err != nil || !ok || asked.Spec.ResourceAttributes == nil || asked.Spec.ResourceAttributes.Group != apiGroup {
		return false
	}
	right := asked.Spec.ResourceAttributes
	allowed := right.Resource == "sources" && right.Subresource == "proxy" && right.Name == "source" && !a.denied(user, right.Verb, right.Namespace)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]any{ // as above
		"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1",
		"status": map[string]any{"allowed": allowed},
	})
	return true
}
