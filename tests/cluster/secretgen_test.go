// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/secretgen"
)

// Where the API server has secretgen-controller's kinds, and the Secrets that it deals with.
const (
	sharingAPI    = "/apis/secretgen.carvel.dev/v1alpha1"
	dockerSecrets = "/api/v1/secrets?fieldSelector=type%3D" + "kubernetes.io%2Fdockerconfigjson"
)

// sharing stands in for secretgen-controller: it looks at all Secrets, exports and imports several times a
// second, and brings about what the rules of the package secretgen say.
type sharing struct {
	client *http.Client
	token  string
}

// shared is a Secret, a SecretExport or a SecretImport.
type shared struct {
	Metadata struct {
		Name              string            `json:"name"`
		Namespace         string            `json:"namespace"`
		UID               string            `json:"uid,omitempty"`
		Generation        int64             `json:"generation,omitempty"`
		ResourceVersion   string            `json:"resourceVersion,omitempty"`
		DeletionTimestamp *time.Time        `json:"deletionTimestamp,omitempty"`
		Labels            map[string]string `json:"labels,omitempty"`
		Annotations       map[string]string `json:"annotations,omitempty"`
	} `json:"metadata"`
	Type string            `json:"type,omitempty"`
	Data map[string][]byte `json:"data,omitempty"`
	Spec struct {
		ToNamespace   string   `json:"toNamespace"`
		ToNamespaces  []string `json:"toNamespaces"`
		FromNamespace string   `json:"fromNamespace"`
	} `json:"spec"`
	Status sharingStatus `json:"status"`
}

type sharingStatus struct {
	ObservedGeneration  int64              `json:"observedGeneration"`
	FriendlyDescription string             `json:"friendlyDescription"`
	Conditions          []sharingCondition `json:"conditions"`
	// Of a SecretExport: which state of the Secret it offers.
	ObservedSecretResourceVersion string `json:"observedSecretResourceVersion,omitempty"`
}

type sharingCondition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Message string `json:"message,omitempty"`
}

// newSharing returns one that acts as the cluster's administrator.
func newSharing(dir string) (*sharing, error) {
	token, err := os.ReadFile(filepath.Join(dir, "pki", "admin.token"))
	if err != nil {
		return nil, fmt.Errorf("read the administrator's token: %w", err)
	}
	pem, err := os.ReadFile(filepath.Join(dir, "apiserver", "apiserver.crt"))
	if err != nil {
		return nil, fmt.Errorf("read the API server's certificate: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	return &sharing{client: &http.Client{Transport: transport, Timeout: 30 * time.Second}, token: strings.TrimSpace(string(token))}, nil
}

// run works until the context ends. What fails is tried again, as a controller does.
func (s *sharing) run(ctx context.Context) {
	last := ""
	for {
		err := s.pass(ctx)
		if err != nil && ctx.Err() == nil && err.Error() != last {
			last = err.Error()
			fmt.Fprintln(os.Stderr, "secretgen-controller's stand-in:", last)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(300 * time.Millisecond):
		}
	}
}

func (s *sharing) pass(ctx context.Context) error {
	var lists [3][]shared
	for i, path := range []string{dockerSecrets, sharingAPI + "/secretexports", sharingAPI + "/secretimports"} {
		var list struct{ Items []shared }
		if err := s.do(ctx, http.MethodGet, path, nil, &list); err != nil {
			return err
		}
		lists[i] = list.Items
	}
	secrets, exports, imports := lists[0], lists[1], lists[2]
	var cluster secretgen.Cluster
	versions := map[string]string{}
	for _, secret := range secrets {
		m := secret.Metadata
		cluster.Secrets = append(cluster.Secrets, secretgen.Secret{Namespace: m.Namespace, Name: m.Name, Type: secret.Type, Data: secret.Data})
		versions[m.Namespace+"/"+m.Name] = m.ResourceVersion
	}
	for _, export := range exports {
		if export.Metadata.DeletionTimestamp == nil {
			cluster.Exports = append(cluster.Exports, export.export())
		}
	}
	for _, export := range exports {
		_, err := cluster.Exported(export.export())
		if err := s.report(ctx, "secretexports", export, err, versions[export.Metadata.Namespace+"/"+export.Metadata.Name]); err != nil {
			return err
		}
	}
	for _, wanted := range imports {
		if err := s.bring(ctx, cluster, secrets, wanted); err != nil {
			return err
		}
	}
	return s.fill(ctx, cluster, secrets)
}

func (o shared) export() secretgen.Export {
	to := o.Spec.ToNamespaces
	if o.Spec.ToNamespace != "" {
		to = append(to[:len(to):len(to)], o.Spec.ToNamespace)
	}
	return secretgen.Export{Namespace: o.Metadata.Namespace, Name: o.Metadata.Name, To: to, Weight: o.Metadata.Annotations[secretgen.Weight]}
}

// bring makes, changes or removes the Secret of a SecretImport.
func (s *sharing) bring(ctx context.Context, cluster secretgen.Cluster, secrets []shared, wanted shared) error {
	m := wanted.Metadata
	if m.DeletionTimestamp != nil {
		return nil
	}
	var there *shared
	for i := range secrets {
		if secrets[i].Metadata.Namespace == m.Namespace && secrets[i].Metadata.Name == m.Name {
			there = &secrets[i]
		}
	}
	path := "/api/v1/namespaces/" + m.Namespace + "/secrets"
	source, reason := cluster.Imported(m.Namespace, m.Name, wanted.Spec.FromNamespace)
	copied := map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": source.Type, "data": source.Data,
		"metadata": map[string]any{
			"name": m.Name, "namespace": m.Namespace, "labels": m.Labels, "annotations": m.Annotations,
			"ownerReferences": []map[string]any{{
				"apiVersion": "secretgen.carvel.dev/v1alpha1", "kind": "SecretImport", "name": m.Name, "uid": m.UID,
				"controller": true, "blockOwnerDeletion": true,
			}},
		},
	}
	var err error
	switch {
	case reason != nil && there != nil:
		err = s.do(ctx, http.MethodDelete, path+"/"+m.Name, nil, nil)
	case reason == nil && there == nil:
		err = s.do(ctx, http.MethodPost, path, copied, nil)
	case reason == nil && !reflect.DeepEqual(there.Data, source.Data):
		err = s.do(ctx, http.MethodPut, path+"/"+m.Name, copied, nil)
	}
	if err != nil {
		return err
	}
	return s.report(ctx, "secretimports", wanted, reason, "")
}

// fill puts what is exported to its namespace into each placeholder Secret.
func (s *sharing) fill(ctx context.Context, cluster secretgen.Cluster, secrets []shared) error {
	for _, secret := range secrets {
		if _, found := secret.Metadata.Annotations[secretgen.Placeholder]; !found || secret.Metadata.DeletionTimestamp != nil {
			continue
		}
		config, err := cluster.Combined(secret.Metadata.Namespace)
		if err != nil {
			return err
		}
		data := map[string][]byte{".dockerconfigjson": config}
		if maps.EqualFunc(secret.Data, data, bytes.Equal) {
			continue
		}
		path := "/api/v1/namespaces/" + secret.Metadata.Namespace + "/secrets/" + secret.Metadata.Name
		if err := s.do(ctx, http.MethodPatch, path, map[string]any{"data": data}, nil); err != nil {
			return err
		}
	}
	return nil
}

// report writes the status that the controller would: one condition, with the reason of a failure.
func (s *sharing) report(ctx context.Context, plural string, o shared, reason error, version string) error {
	status := sharingStatus{
		ObservedGeneration: o.Metadata.Generation, FriendlyDescription: "Reconcile succeeded", ObservedSecretResourceVersion: version,
		Conditions: []sharingCondition{{Type: "ReconcileSucceeded", Status: "True"}},
	}
	if reason != nil {
		status.FriendlyDescription = "Reconcile failed: " + reason.Error()
		status.Conditions = []sharingCondition{{Type: "ReconcileFailed", Status: "True", Message: reason.Error()}}
	}
	if reflect.DeepEqual(o.Status, status) {
		return nil
	}
	path := sharingAPI + "/namespaces/" + o.Metadata.Namespace + "/" + plural + "/" + o.Metadata.Name + "/status"
	return s.do(ctx, http.MethodPatch, path, map[string]any{"status": status}, nil)
}

// do sends one request to the API server. What is gone, or was changed in the meantime, is no error: the next
// pass sees to it.
func (s *sharing) do(ctx context.Context, method, path string, body, result any) error {
	var sent bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&sent).Encode(body); err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, "https://"+apiServer+path, &sent)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+s.token)
	r.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		r.Header.Set("Content-Type", "application/merge-patch+json")
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return fmt.Errorf("%s %s: %w", method, path, err)
	case resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusConflict:
		return nil
	case resp.StatusCode >= http.StatusBadRequest:
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, answer)
	case result != nil:
		return json.Unmarshal(answer, result)
	}
	return nil
}
