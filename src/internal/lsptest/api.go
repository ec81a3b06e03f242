// SPDX-License-Identifier: Apache-2.0

package lsptest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// API is what the tests need of the API server beside the service proxy: its version, access reviews, and Workloads kept in
// memory. Set it as [Cluster.API].
type API struct {
	mu        sync.Mutex
	workloads map[string]map[string]any
	version   int
}

// Workload returns a stored Workload, nil when there is none.
func (a *API) Workload(namespace, name string) map[string]any {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.workloads[namespace+"/"+name]
}

// Store puts a Workload in, as somebody else would.
func (a *API) Store(namespace, name string, object map[string]any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.put(namespace, name, object)
}

func (a *API) put(namespace, name string, object map[string]any) {
	if a.workloads == nil {
		a.workloads = map[string]map[string]any{}
	}
	a.version++
	metadata, _ := object["metadata"].(map[string]any)
	if metadata == nil {
		metadata = map[string]any{}
		object["metadata"] = metadata
	}
	metadata["namespace"], metadata["name"], metadata["resourceVersion"] = namespace, name, strconv.Itoa(a.version)
	a.workloads[namespace+"/"+name] = object
}

// ServeHTTP answers the stranger's access reviews with no and everybody else's with yes.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case r.URL.Path == "/version":
		_ = json.NewEncoder(w).Encode(map[string]string{"gitVersion": "v1.34.0", "major": "1", "minor": "34"})
	case strings.HasSuffix(r.URL.Path, "/selfsubjectaccessreviews"):
		allowed := !strings.HasSuffix(r.Header.Get("Authorization"), Stranger)
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(map[string]any{
			"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "status": map[string]any{"allowed": allowed},
		})
	case strings.HasPrefix(r.URL.Path, "/apis/carto.run/v1alpha1/namespaces/") && len(parts) >= 6 && parts[5] == "workloads":
		a.serveWorkload(w, r, parts[4], parts[6:])
	default:
		status(w, http.StatusNotFound, "NotFound", "the server could not find the requested resource")
	}
}

func (a *API) serveWorkload(w http.ResponseWriter, r *http.Request, namespace string, rest []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.Method == http.MethodPost || r.Method == http.MethodPut {
		var object map[string]any
		if err := json.NewDecoder(r.Body).Decode(&object); err != nil {
			status(w, http.StatusBadRequest, "BadRequest", err.Error())
			return
		}
		metadata, _ := object["metadata"].(map[string]any)
		name, _ := metadata["name"].(string)
		if old := a.workloads[namespace+"/"+name]; old != nil && old["metadata"].(map[string]any)["resourceVersion"] != metadata["resourceVersion"] {
			status(w, http.StatusConflict, "Conflict", "the object has been modified")
			return
		}
		a.put(namespace, name, object)
		_ = json.NewEncoder(w).Encode(object)
		return
	}
	if len(rest) == 0 {
		items := []any{}
		for _, object := range a.workloads {
			items = append(items, object)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "WorkloadList", "apiVersion": "carto.run/v1alpha1", "items": items})
		return
	}
	object := a.workloads[namespace+"/"+rest[0]]
	if object == nil {
		status(w, http.StatusNotFound, "NotFound", `workloads.carto.run "`+rest[0]+`" not found`)
		return
	}
	_ = json.NewEncoder(w).Encode(object)
}
