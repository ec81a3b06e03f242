// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// Client reads Secrets, and for the image proxy custom resources, in one namespace.
type Client struct {
	// Namespace is where the Secrets are.
	Namespace string
	// Secrets is the API of that namespace.
	Secrets Secrets
	// Licenses and Registries are the custom resources of that namespace; nil where they are not needed.
	Licenses, Registries Resources
	// ConfigMaps are those of [SystemNamespace], and APIServices the cluster's; nil where they are not needed.
	ConfigMaps  ConfigMaps
	APIServices APIServices
	// Binding is the object that grants the server its rights, for messages.
	Binding Binding
	// Log gets outages that change nothing; nil discards.
	Log *slog.Logger
}

// Secrets is what is used of client-go's SecretInterface, which satisfies it.
type Secrets interface {
	Update(context.Context, *corev1.Secret, metav1.UpdateOptions) (*corev1.Secret, error)
	Get(context.Context, string, metav1.GetOptions) (*corev1.Secret, error)
	List(context.Context, metav1.ListOptions) (*corev1.SecretList, error)
	Watch(context.Context, metav1.ListOptions) (watch.Interface, error)
	Patch(ctx context.Context, name string, kind types.PatchType, data []byte, options metav1.PatchOptions, sub ...string) (*corev1.Secret, error)
}

// serviceAccount is where the kubelet mounts what a pod knows of itself.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

// InCluster reports whether this process runs in a pod that may talk to its API server.
func InCluster() bool { return inCluster(serviceAccount) }

func inCluster(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "token"))
	return err == nil && os.Getenv("KUBERNETES_SERVICE_HOST") != "" && os.Getenv("KUBERNETES_SERVICE_PORT") != ""
}

// Namespace returns the namespace of the pod that this process runs in.
func Namespace() (string, error) { return namespace(serviceAccount) }

func namespace(dir string) (string, error) {
	path := filepath.Join(dir, "namespace")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("find the pod's namespace: %s does not exist: pass --namespace, or mount the service account", path)
	}
	if err != nil {
		return "", fmt.Errorf("find the pod's namespace: %w", err)
	}
	name := strings.TrimSpace(string(data))
	if name == "" {
		return "", fmt.Errorf("find the pod's namespace: %s is empty: pass --namespace", path)
	}
	return name, nil
}

func (c *Client) log() *slog.Logger {
	if c.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Log
}
