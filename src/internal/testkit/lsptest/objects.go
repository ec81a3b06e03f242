// SPDX-License-Identifier: Apache-2.0

package lsptest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
)

// call is a request for one custom resource, or for all of a namespace.
type call struct{ resource, group, apiVersion, namespace, name string }

func (c call) key(name string) string { return c.resource + "/" + c.namespace + "/" + name }

// fail answers as the API server does, with the details by which clients tell a missing object from a missing
// resource.
func (c call) fail(w http.ResponseWriter, code int, reason, message string) {
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{ // the client is gone when this fails
		"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message, "code": code,
		"details": map[string]any{"name": c.name, "group": c.group, "kind": c.resource},
	})
}

// Object returns a stored object, nil when there is none.
func (a *API) Object(resource, namespace, name string) map[string]any {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.objects[call{resource: resource, namespace: namespace}.key(name)]
}

// Put puts an object in, as somebody else would.
func (a *API) Put(resource, namespace, name string, object map[string]any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keep(call{resource: resource, namespace: namespace, name: name}, object)
}

// Remove takes an object away, as somebody else would.
func (a *API) Remove(resource, namespace, name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.objects, call{resource: resource, namespace: namespace}.key(name))
}

func (a *API) keep(c call, object map[string]any) {
	if a.objects == nil {
		a.objects = map[string]map[string]any{}
	}
	a.version++
	metadata, _ := object["metadata"].(map[string]any)
	if metadata == nil {
		metadata = map[string]any{}
		object["metadata"] = metadata
	}
	metadata["namespace"], metadata["name"], metadata["resourceVersion"] = c.namespace, c.name, strconv.Itoa(a.version)
	a.objects[c.key(c.name)] = object
}

// serveObject has get, list, create, update, merge patch and delete, dry runs of them, and refuses to
// overwrite a newer version.
func (a *API) serveObject(w http.ResponseWriter, r *http.Request, c call) {
	if r.Method != http.MethodGet && a.OnWrite != nil {
		a.OnWrite()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.fail(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	if r.Method == http.MethodPost {
		var posted struct{ Metadata struct{ Name string } }
		if err := json.Unmarshal(body, &posted); err != nil {
			c.fail(w, http.StatusBadRequest, "BadRequest", err.Error())
			return
		}
		c.name = posted.Metadata.Name
	}
	old := a.objects[c.key(c.name)]
	missing := fmt.Sprintf("%s.%s %q not found", c.resource, c.group, c.name)
	switch {
	case r.Method == http.MethodGet && c.name == "":
		a.list(w, c)
	case r.Method == http.MethodPost && old != nil:
		c.fail(w, http.StatusConflict, "AlreadyExists", fmt.Sprintf("%s.%s %q already exists", c.resource, c.group, c.name))
	case r.Method != http.MethodPost && old == nil:
		c.fail(w, http.StatusNotFound, "NotFound", missing)
	case r.Method == http.MethodGet:
		_ = json.NewEncoder(w).Encode(old)
	case r.Method == http.MethodDelete:
		if !bytes.Contains(body, []byte("dryRun")) { // of DELETE the options are the body
			delete(a.objects, c.key(c.name))
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Success"})
	default:
		a.write(w, r, c, old, body)
	}
}

func (a *API) list(w http.ResponseWriter, c call) {
	items := []any{}
	for _, key := range slices.Sorted(maps.Keys(a.objects)) {
		if strings.HasPrefix(key, c.key("")) {
			items = append(items, a.objects[key])
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": "List", "apiVersion": c.apiVersion, "items": items})
}

// write creates, replaces or patches.
func (a *API) write(w http.ResponseWriter, r *http.Request, c call, old map[string]any, body []byte) {
	if r.Method == http.MethodPatch {
		before, err := json.Marshal(old)
		if err == nil {
			body, err = jsonpatch.MergePatch(before, body)
		}
		if err != nil {
			c.fail(w, http.StatusBadRequest, "BadRequest", err.Error())
			return
		}
	}
	var object map[string]any
	if err := json.Unmarshal(body, &object); err != nil {
		c.fail(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	metadata, _ := object["metadata"].(map[string]any)
	if old != nil && old["metadata"].(map[string]any)["resourceVersion"] != metadata["resourceVersion"] {
		c.fail(w, http.StatusConflict, "Conflict", "the object has been modified")
		return
	}
	dryRun := r.URL.Query().Has("dryRun")
	if a.Refuse != nil {
		if why := a.Refuse(object, dryRun); why != "" {
			c.fail(w, http.StatusBadRequest, "BadRequest", why)
			return
		}
	}
	if !dryRun {
		a.keep(c, object)
	}
	_ = json.NewEncoder(w).Encode(object)
}
