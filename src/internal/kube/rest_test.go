// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// The generated client is a Secrets too, and the yardstick for ours.
var _ = func(c kubernetes.Interface) Secrets { return c.CoreV1().Secrets("") }

// apiServer answers requests for Secrets in the wire format of Kubernetes, and notes them.
func apiServer(t *testing.T, requests *[]string) *rest.Config {
	t.Helper()
	mux := http.NewServeMux()
	handle := func(pattern, answer string, status int) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprint(w, answer)
		})
	}
	const one = `{"kind":"Secret","apiVersion":"v1","metadata":{"name":"s"},"type":"Opaque","data":{"k":"dg=="}}`
	handle("GET /api/v1/namespaces/ns/secrets/s", one, http.StatusOK)
	handle("GET /api/v1/namespaces/ns/secrets/no", `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","message":"no","code":403}`, http.StatusForbidden)
	written := func(w http.ResponseWriter, r *http.Request) {
		var sent map[string]any
		if r.Header.Get("Content-Type") != "application/json" {
			// The generated client creates in protobuf.
		} else if err := json.NewDecoder(r.Body).Decode(&sent); err != nil || sent["kind"] != "Secret" || sent["apiVersion"] != "v1" {
			t.Errorf("written %v, error %v", sent, err)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, one)
	}
	mux.HandleFunc("POST /api/v1/namespaces/ns/secrets", written)
	mux.HandleFunc("PUT /api/v1/namespaces/ns/secrets/"+SessionKeySecret, written)
	mux.HandleFunc("PATCH /api/v1/namespaces/ns/secrets/s", func(w http.ResponseWriter, r *http.Request) {
		*requests = append(*requests, "as "+r.Header.Get("Content-Type"))
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, one)
	})
	mux.HandleFunc("GET /api/v1/namespaces/ns/secrets", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Query().Get("watch") != "" {
			fmt.Fprintf(w, `{"type":"MODIFIED","object":%s}`, one)
			return
		}
		fmt.Fprintf(w, `{"kind":"SecretList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[%s]}`, one)
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*requests = append(*requests, r.Method+" "+r.URL.RequestURI())
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return &rest.Config{Host: server.URL}
}

func TestSecretsSpeaksToAnAPIServer(t *testing.T) {
	var ours, theirs []string
	config := apiServer(t, &ours)
	own, err := newSecrets(config, "ns")
	if err != nil {
		t.Fatal(err)
	}
	exercise(t, own)
	generated, err := kubernetes.NewForConfig(apiServer(t, &theirs))
	if err != nil {
		t.Fatal(err)
	}
	exercise(t, generated.CoreV1().Secrets("ns"))
	if diff := cmp.Diff(theirs, ours); diff != "" {
		t.Errorf("requests differ from those of client-go's generated client (-theirs +ours):\n%s", diff)
	}
}

func exercise(t *testing.T, s Secrets) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	check := func(what string, secret *corev1.Secret, err error) {
		t.Helper()
		if err != nil || secret.Name != "s" || string(secret.Data["k"]) != "v" {
			t.Errorf("%s: %+v, error %v", what, secret, err)
		}
	}
	got, err := s.Get(ctx, "s", metav1.GetOptions{})
	check("get", got, err)
	updated, err := s.Update(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: SessionKeySecret}}, metav1.UpdateOptions{})
	check("update", updated, err)
	force := true
	applied, err := s.Patch(ctx, "s", types.ApplyPatchType, []byte(`{}`), metav1.PatchOptions{FieldManager: "m", Force: &force})
	check("apply", applied, err)
	list, err := s.List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=s"})
	if err != nil || len(list.Items) != 1 || list.ResourceVersion != "7" {
		t.Fatalf("list: %+v, error %v", list, err)
	}
	check("list", &list.Items[0], nil)
	w, err := s.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=s", ResourceVersion: "7"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	watched, _ := (<-w.ResultChan()).Object.(*corev1.Secret)
	check("watch", watched, nil)
	if _, err := s.Get(ctx, "no", metav1.GetOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("error %v is not Forbidden", err)
	}
}

func TestPod(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
	t.Setenv("KUBERNETES_SERVICE_PORT", "443")
	path := filepath.Join(dir, "namespace")
	if _, err := namespace(dir); err == nil || err.Error() != "find the pod's namespace: "+path+" does not exist: pass --namespace, or mount the service account" {
		t.Errorf("error %v", err)
	}
	if inCluster(dir) {
		t.Error("in a cluster without a token")
	}
	for name, content := range map[string]string{"namespace": "here\n", "token": "t"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if name, err := namespace(dir); err != nil || name != "here" {
		t.Errorf("namespace %q, error %v", name, err)
	}
	if !inCluster(dir) {
		t.Error("not in a cluster")
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	if inCluster(dir) {
		t.Error("in a cluster without an API server")
	}
}
