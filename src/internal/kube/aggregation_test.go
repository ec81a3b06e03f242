// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// aggregated answers as an API server with an aggregation layer, and notes what it is asked to write.
func aggregated(t *testing.T) (client *Client, written func() []string) {
	t.Helper()
	var mu sync.Mutex
	var noted []string
	mux := http.NewServeMux()
	answer := func(pattern, list, one string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			switch query := r.URL.Query(); {
			case query.Get("fieldSelector") == "":
				t.Errorf("asked for all: %s", r.URL)
			case query.Get("watch") != "":
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			default:
				fmt.Fprintf(w, list, one)
			}
		})
	}
	answer("GET /apis/apiregistration.k8s.io/v1/apiservices", `{"kind":"APIServiceList","apiVersion":"apiregistration.k8s.io/v1","metadata":{"resourceVersion":"7"},"items":[%s]}`,
		`{"metadata":{"name":"v1.x","uid":"u"},"spec":{"group":"x","groupPriorityMinimum":1000,"caBundle":"Q0E="}}`)
	answer("GET /api/v1/namespaces/kube-system/configmaps", `{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[%s]}`,
		`{"metadata":{"name":"extension-apiserver-authentication"},"data":{"k":"v"}}`)
	mux.HandleFunc("PATCH /", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		noted = append(noted, fmt.Sprintf("%s as %s: %s", r.URL.RequestURI(), r.Header.Get("Content-Type"), body))
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasPrefix(r.URL.Path, "/apis/"):
			fmt.Fprint(w, `{"kind":"APIService","apiVersion":"apiregistration.k8s.io/v1","metadata":{"name":"v1.x"}}`)
		default:
			fmt.Fprint(w, `{"kind":"Secret","apiVersion":"v1","metadata":{"name":"s"}}`)
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	client, err := NewAt(&rest.Config{Host: server.URL}, "ns", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return client, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return noted
	}
}

// TestAggregationIsRead in the wire format of Kubernetes, one object each.
func TestAggregationIsRead(t *testing.T) {
	client, _ := aggregated(t)
	ctx, cancel := context.WithCancel(t.Context())
	services, maps := make(chan *APIService), make(chan *corev1.ConfigMap)
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer cancel()
	tasks.Go(func() {
		client.WatchAPIService(ctx, "v1.x", func(s *APIService, err error) {
			if err != nil {
				t.Error(err)
			}
			services <- s
		})
	})
	tasks.Go(func() {
		client.WatchAuthentication(ctx, func(m *corev1.ConfigMap, err error) {
			if err != nil {
				t.Error(err)
			}
			maps <- m
		})
	})
	if got := <-services; got == nil || got.UID != "u" || string(got.Spec.CABundle) != "CA" {
		t.Errorf("APIService %+v", got)
	}
	if got := <-maps; got == nil || got.Data["k"] != "v" {
		t.Errorf("ConfigMap %+v", got)
	}
}

// TestAggregationIsWritten: of an APIService nothing but its caBundle, of a Secret nothing that it has not.
func TestAggregationIsWritten(t *testing.T) {
	client, written := aggregated(t)
	if err := client.SetCABundle(t.Context(), "v1.x", []byte("CA")); err != nil {
		t.Fatal(err)
	}
	owner := (&APIService{ObjectMeta: metav1.ObjectMeta{Name: "v1.x", UID: "u"}}).Owner()
	if err := client.RestoreSecret(t.Context(), "s", owner, map[string][]byte{"k": []byte("v")}); err != nil {
		t.Fatal(err)
	}
	got := written()
	const service = `/apis/apiregistration.k8s.io/v1/apiservices/v1.x?fieldManager=local-source-proxy as application/merge-patch+json: {"spec":{"caBundle":"Q0E="}}`
	if len(got) != 2 || got[0] != service {
		t.Fatalf("written %q", got)
	}
	target, body, _ := strings.Cut(got[1], ": ")
	if target != "/api/v1/namespaces/ns/secrets/s?fieldManager=local-source-proxy&force=true as application/apply-patch+yaml" {
		t.Errorf("written to %s", target)
	}
	var secret corev1.Secret
	if err := json.Unmarshal([]byte(body), &secret); err != nil || secret.Name != "s" || string(secret.Data["k"]) != "v" || secret.Type != corev1.SecretTypeOpaque || secret.OwnerReferences[0].UID != "u" {
		t.Errorf("written %s, error %v", body, err)
	}
}
