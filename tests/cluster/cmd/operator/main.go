// SPDX-License-Identifier: Apache-2.0

// Command operator makes a Pod for each Rollout of its namespaces, as operators of real applications do. It
// knows images by three ways: the Rollout's own, an environment variable, and text in a ConfigMap.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const account = "/var/run/secrets/kubernetes.io/serviceaccount/"

type values = map[string]any

// rollout is a Deployment of somebody's own making, for one replica.
type rollout struct {
	Metadata struct{ Name string }
	Spec     struct{ Template values }
}

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	api, err := connect()
	if err != nil {
		log.Fatal(err)
	}
	for {
		for _, namespace := range strings.Fields(os.Getenv("NAMESPACES")) {
			if err := api.reconcile(ctx, namespace); err != nil {
				log.Printf("namespace %s: %v", namespace, err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

// apiServer is the cluster's, for the Pod's own account.
type apiServer struct {
	client      http.Client
	base, token string
}

func connect() (*apiServer, error) {
	ca, err := os.ReadFile(account + "ca.crt")
	if err != nil {
		return nil, err
	}
	token, err := os.ReadFile(account + "token")
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("no certificate of the API server's")
	}
	return &apiServer{
		client: http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}},
		base:   "https://" + net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")),
		token:  string(token),
	}, nil
}

// reconcile makes the Pods that are not there.
func (a *apiServer) reconcile(ctx context.Context, namespace string) error {
	var list struct{ Items []rollout }
	if _, err := a.do(ctx, http.MethodGet, "/apis/example.com/v1/namespaces/"+namespace+"/rollouts", nil, &list); err != nil {
		return err
	}
	for _, each := range list.Items {
		pod, err := podOf(each)
		if err != nil {
			return fmt.Errorf("rollout %s: %w", each.Metadata.Name, err)
		}
		status, err := a.do(ctx, http.MethodPost, "/api/v1/namespaces/"+namespace+"/pods", pod, nil)
		if err != nil && status != http.StatusConflict {
			return fmt.Errorf("pod %s: %w", each.Metadata.Name, err)
		}
	}
	return nil
}

// podOf adds to a Rollout's template what this operator adds to every Pod.
func podOf(r rollout) (values, error) {
	var config struct{ Helper string }
	if err := json.Unmarshal([]byte(os.Getenv("CONFIG")), &config); err != nil {
		return nil, fmt.Errorf("read CONFIG: %w", err)
	}
	spec, _ := r.Spec.Template["spec"].(values)
	containers, _ := spec["containers"].([]any)
	if len(containers) == 0 {
		return nil, errors.New("its template has no containers")
	}
	spec["containers"] = append(containers, values{"name": "sidecar", "image": os.Getenv("RELATED_IMAGE_SIDECAR"), "imagePullPolicy": "Always"})
	spec["initContainers"] = []any{values{"name": "helper", "image": config.Helper, "imagePullPolicy": "Always", "restartPolicy": "Always"}}
	return values{"apiVersion": "v1", "kind": "Pod", "metadata": values{"name": r.Metadata.Name}, "spec": spec}, nil
}

// do sends an object, if there is one, and reads the answer into another.
func (a *apiServer) do(ctx context.Context, method, path string, object, into any) (status int, err error) {
	var body bytes.Buffer
	if object != nil {
		if err := json.NewEncoder(&body).Encode(object); err != nil {
			return 0, err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, a.base+path, &body)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+a.token)
	r.Header.Set("Content-Type", "application/json")
	resp, err := a.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp.StatusCode, err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return resp.StatusCode, fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, content)
	}
	if into == nil {
		return resp.StatusCode, nil
	}
	return resp.StatusCode, json.Unmarshal(content, into)
}
