// SPDX-License-Identifier: Apache-2.0

package lsptest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// API is what the tests need of the API server beside the service proxy: its version, access reviews, pods
// with their logs, and custom resources kept in memory. Set it as [Cluster.API].
type API struct {
	// Logs are the logs of the pods of the image proxy, by the pod's name.
	Logs map[string]string
	// Pods are served instead of those of Logs, when they are set.
	Pods *Pods
	// Core serves Secrets, Events and other objects of the core group too, as they were put in.
	Core bool
	// Without is a resource that the cluster does not have, such as "licenses".
	Without string
	// Refuse says why an object cannot be stored, as an admission webhook would; "" stores it.
	Refuse func(object map[string]any, dryRun bool) string
	// OnWrite is called ahead of each change that a client makes.
	OnWrite func()

	mu      sync.Mutex
	objects map[string]map[string]any // by resource, namespace and name
	version int
}

// Workload returns a stored Workload, nil when there is none.
func (a *API) Workload(namespace, name string) map[string]any {
	return a.Object("workloads", namespace, name)
}

// Store puts a Workload in, as somebody else would.
func (a *API) Store(namespace, name string, object map[string]any) {
	a.Put("workloads", namespace, name, object)
}

// ServeHTTP answers the stranger's access reviews with no and everybody else's with yes.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	stranger := strings.HasSuffix(r.Header.Get("Authorization"), Stranger)
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case r.URL.Path == "/version":
		_ = json.NewEncoder(w).Encode(map[string]string{"gitVersion": "v1.34.0", "major": "1", "minor": "34"})
	case strings.HasSuffix(r.URL.Path, "/selfsubjectaccessreviews"):
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(map[string]any{
			"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1",
			"status": map[string]any{"allowed": !stranger},
		})
	case strings.HasPrefix(r.URL.Path, "/api/v1/namespaces/") && len(parts) >= 5 && parts[4] == "pods":
		a.servePods(w, r, parts[5:])
	case strings.HasPrefix(r.URL.Path, "/api/v1/namespaces/") && len(parts) == 5 && a.Core:
		c := call{resource: parts[4], namespace: parts[3], apiVersion: "v1"}
		if stranger {
			c.fail(w, http.StatusForbidden, "Forbidden", c.resource+` is forbidden: User "stranger" cannot list it`)
			return
		}
		a.serveObject(w, r, c)
	case strings.HasPrefix(r.URL.Path, "/apis/") && len(parts) >= 6 && parts[3] == "namespaces" && parts[5] != a.Without:
		c := call{resource: parts[5], namespace: parts[4], apiVersion: parts[1] + "/" + parts[2], group: parts[1]}
		if len(parts) > 6 {
			c.name = parts[6]
		}
		if stranger {
			c.fail(w, http.StatusForbidden, "Forbidden",
				fmt.Sprintf("%s.%s is forbidden: User \"stranger\" cannot do this in the namespace %q", c.resource, c.group, c.namespace))
			return
		}
		a.serveObject(w, r, c)
	default:
		w.Header().Set("Content-Type", "text/plain")
		http.Error(w, "404 page not found", http.StatusNotFound)
	}
}

// servePods lists the pods of the image proxy, or returns the log of one.
func (a *API) servePods(w http.ResponseWriter, r *http.Request, rest []string) {
	if a.Pods != nil {
		a.Pods.serve(w, r, rest)
		return
	}
	if len(rest) == 2 && rest[1] == "log" {
		text, ok := a.Logs[rest[0]]
		if !ok || r.URL.Query().Get("container") != "image-proxy" {
			status(w, http.StatusBadRequest, "BadRequest",
				fmt.Sprintf("container %q in pod %q is waiting to start", r.URL.Query().Get("container"), rest[0]))
			return
		}
		_, _ = w.Write([]byte(text)) // the client is gone when this fails
		return
	}
	items := []any{}
	for name := range a.Logs {
		if r.URL.Query().Get("labelSelector") == "app.kubernetes.io/name=image-proxy" {
			items = append(items, map[string]any{"metadata": map[string]any{"name": name}})
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": "PodList", "apiVersion": "v1", "items": items})
}
