// SPDX-License-Identifier: Apache-2.0

package registrytest

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
)

func (reg *Registry) serveManifest(w http.ResponseWriter, r *http.Request, repo, reference string) {
	content, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if r.Method == http.MethodPut {
		tags := []string{reference}
		if strings.Contains(reference, ":") {
			tags = nil
		}
		digest := reg.PutManifest(repo, r.Header.Get("Content-Type"), content, tags...)
		w.Header().Set("Docker-Content-Digest", digest)
		w.Header().Set("Location", "/v2/"+repo+"/manifests/"+digest)
		w.WriteHeader(http.StatusCreated)
		return
	}
	reg.mu.Lock()
	defer reg.mu.Unlock()
	stored := reg.repo(repo)
	digest := reference
	if tagged, ok := stored.tags[reference]; ok {
		digest = tagged
	}
	m, ok := stored.manifests[digest]
	switch {
	case !ok:
		fail(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "manifest unknown")
	case r.Method == http.MethodDelete:
		delete(stored.tags, reference)
		delete(stored.manifests, reference)
		w.WriteHeader(http.StatusAccepted)
	default:
		w.Header().Set("Content-Type", m.MediaType)
		w.Header().Set("Docker-Content-Digest", digest)
		w.Header().Set("Content-Length", strconv.Itoa(len(m.Content)))
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(m.Content)
	}
}

func (reg *Registry) serveReferrers(w http.ResponseWriter, r *http.Request, repo, digest string) {
	reg.mu.Lock()
	defer reg.mu.Unlock()
	referrers := []map[string]any{}
	for of, m := range reg.repo(repo).manifests {
		var manifest struct {
			ArtifactType string `json:"artifactType"`
			Subject      struct {
				Digest string `json:"digest"`
			} `json:"subject"`
		}
		if json.Unmarshal(m.Content, &manifest) != nil || manifest.Subject.Digest != digest {
			continue
		}
		if want := r.URL.Query().Get("artifactType"); want != "" {
			w.Header().Set("OCI-Filters-Applied", "artifactType")
			if want != manifest.ArtifactType {
				continue
			}
		}
		referrers = append(referrers, map[string]any{"mediaType": m.MediaType, "digest": of, "size": len(m.Content), "artifactType": manifest.ArtifactType})
	}
	w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
	_ = json.NewEncoder(w).Encode(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": referrers})
}
