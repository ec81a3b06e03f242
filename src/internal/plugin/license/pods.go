// SPDX-License-Identifier: Apache-2.0

package license

import (
	"context"
	"errors"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Where the package's manifests put the image proxy.
const (
	selector  = "app.kubernetes.io/name=image-proxy"
	container = "image-proxy"
)

// PodPulls reads the logs of all replicas in a namespace. What was read is returned with the error that kept
// the rest from being read.
func PodPulls(ctx context.Context, client kubernetes.Interface, namespace string, q PullQuery) ([]Pull, error) {
	list, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	switch {
	case apierrors.IsForbidden(err):
		return nil, fmt.Errorf("you may not list the pods of namespace %s: ask the cluster's operator for a Role with list on pods and get on pods/log: %w",
			namespace, err)
	case err != nil:
		return nil, fmt.Errorf("list the pods of namespace %s: %w", namespace, err)
	case len(list.Items) == 0:
		return nil, fmt.Errorf("there is no pod %s in namespace %s: install the package with image_proxy.enabled, or check --context and --namespace",
			selector, namespace)
	}
	logs := make([][]Pull, len(list.Items))
	failures := make([]error, len(list.Items))
	var group sync.WaitGroup
	for i := range list.Items {
		group.Go(func() { logs[i], failures[i] = podLog(ctx, client, namespace, list.Items[i].Name, q) })
	}
	group.Wait()
	return q.Merge(logs...), errors.Join(failures...)
}

func podLog(ctx context.Context, client kubernetes.Interface, namespace, pod string, q PullQuery) ([]Pull, error) {
	options := &corev1.PodLogOptions{Container: container}
	if !q.Since.IsZero() {
		options.SinceTime = &metav1.Time{Time: q.Since}
	}
	log, err := client.CoreV1().Pods(namespace).GetLogs(pod, options).Stream(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the log of pod %s: %w", pod, err)
	}
	defer log.Close()
	found, err := ReadPulls(log, q)
	if err != nil {
		return found, fmt.Errorf("pod %s: %w", pod, err)
	}
	return found, nil
}
