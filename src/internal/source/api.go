// SPDX-License-Identifier: Apache-2.0

package source

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/src/internal/frontproxy"
	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// The namespaced API, by which the API server's aggregation layer forwards pushes for one namespace.
const (
	Group    = "localsource.apps.tanzu.vmware.com"
	Version  = "v1alpha1"
	Resource = "sources"
	// APISide names the listener in logs and metrics.
	APISide = "api"

	groupVersion = Group + "/" + Version
	apiRoot      = "/apis/" + groupVersion
)

// API is the handler of the namespaced API: the same source proxy, with the namespace of the path.
type API struct {
	proxy *Proxy
	front func() *frontproxy.Verifier
}

// API returns the namespaced API of the proxy. front returns what is known of the API server at the moment.
func (p *Proxy) API(front func() *frontproxy.Verifier) *API { return &API{p, front} }

// Serve answers a request; it is an [httpserver.HandlerFunc]. Nobody but the API server gets anything but 401.
//
// The API server has authorized what the path says, read from its left end: the verb for the method, the
// namespace, "sources/proxy" and the name "source". So this part of the path is taken letter by letter. A path
// that the API server could read otherwise, by an escaped character for instance, is none.
func (a *API) Serve(w http.ResponseWriter, r *http.Request) error {
	user, err := a.front().Authenticate(r)
	if err != nil {
		return oci.Errorf(oci.Unauthorized, "this port is for the API server alone").Because(err)
	}
	escaped := r.URL.EscapedPath()
	namespace, rest, ok := split(escaped)
	if !ok {
		if answer := discovery(escaped); answer != nil {
			return a.discover(w, r, answer)
		}
		return oci.Errorf(oci.PathUnknown, "the API has no such path: it is %s", pathOf("<namespace>")+"/v2/…")
	}
	httpserver.By(r.Context(), user.Name, user.Groups, namespace)
	path, err := url.PathUnescape(rest)
	if err != nil {
		return oci.Errorf(oci.PathUnknown, "the path is not escaped as a URL's").Because(err)
	}
	behind := *r
	behind.URL = &url.URL{Path: path, RawPath: rest, RawQuery: r.URL.RawQuery}
	now := a.proxy.current()
	return a.proxy.serve(w, &behind, admission{
		Upstream: now, prefix: pathOf(namespace),
		caller: &caller{namespace, user.Name, user.Groups, cmp.Or(now.Tenancy, Repositories)},
	})
}

// pathOf is where the source proxy of a namespace is.
func pathOf(namespace string) string {
	return apiRoot + "/namespaces/" + namespace + "/" + Resource + "/" + Name + "/proxy"
}

// split takes the namespace off a path, and returns what is behind it.
func split(escaped string) (namespace, rest string, ok bool) {
	after, ok := strings.CutPrefix(escaped, apiRoot+"/namespaces/")
	if !ok {
		return "", "", false
	}
	namespace, _, _ = strings.Cut(after, "/")
	rest, ok = strings.CutPrefix(escaped, pathOf(namespace))
	if !ok || !isNamespace(namespace) || rest != "" && rest[0] != '/' {
		return "", "", false
	}
	return namespace, rest, true
}

// object is one of Kubernetes' discovery documents, in the form that its client-go reads.
type object = map[string]any

// discovery returns what clients and the API server read to learn which resources there are; nil for another
// path. The resource itself has no verbs: only its subresource does something.
func discovery(path string) object {
	version := object{"groupVersion": groupVersion, "version": Version}
	group := object{"name": Group, "versions": []object{version}, "preferredVersion": version}
	switch strings.TrimSuffix(path, "/") {
	case "/apis":
		return object{"kind": "APIGroupList", "apiVersion": "v1", "groups": []object{group}}
	case "/apis/" + Group:
		group["kind"], group["apiVersion"] = "APIGroup", "v1"
		return group
	case apiRoot:
		return object{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": groupVersion, "resources": []object{
			{"name": Resource, "singularName": "source", "namespaced": true, "kind": "Source", "verbs": []string{}},
			{
				"name": Resource + "/proxy", "singularName": "", "namespaced": true, "kind": "Source",
				"verbs": []string{"create", "delete", "get", "patch", "update"},
			},
		}}
	case "/openapi/v2":
		return object{"swagger": "2.0", "info": info(), "paths": object{}}
	case "/openapi/v3":
		return object{"paths": object{apiRoot[1:]: object{"serverRelativeURL": "/openapi/v3" + apiRoot}}}
	case "/openapi/v3" + apiRoot:
		return object{"openapi": "3.0.0", "info": info(), "paths": object{}}
	default:
		return nil
	}
}

func info() object {
	return object{"title": "Local Source Proxy", "version": Version}
}

func (a *API) discover(w http.ResponseWriter, r *http.Request, answer object) error {
	httpserver.Started(r.Context(), "discovery", "", "")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return oci.Errorf(oci.Unsupported, "discovery can only be read").With("Allow", "GET, HEAD")
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, body)
}
