// SPDX-License-Identifier: Apache-2.0

package support

import (
	"context"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// admin is the port of the pods with their metrics.
const admin = "8081"

// pods keeps the state of each, the last lines of each container, also of its run before, and its metrics.
func (c *Collector) pods(ctx context.Context) {
	listing, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	list, err := c.Client.CoreV1().Pods(c.Namespace).List(listing, metav1.ListOptions{Limit: maxObjects})
	if err != nil {
		c.note("pods", err)
		return
	}
	described := make([]map[string]any, 0, len(list.Items))
	for i := range list.Items {
		pod := &list.Items[i]
		described = append(described, map[string]any{
			"name": pod.Name, "created": pod.CreationTimestamp, "node": pod.Spec.NodeName, "phase": pod.Status.Phase,
			"reason": pod.Status.Reason, "message": pod.Status.Message, "conditions": pod.Status.Conditions,
			"containers": pod.Status.ContainerStatuses, "initContainers": pod.Status.InitContainerStatuses,
		})
		for _, status := range pod.Status.ContainerStatuses {
			c.log(ctx, pod.Name, status.Name, false)
			if status.RestartCount > 0 {
				c.log(ctx, pod.Name, status.Name, true)
			}
		}
		c.metrics(ctx, pod.Name)
	}
	c.addYAML("objects/pods.yaml", described)
}

func (c *Collector) log(ctx context.Context, pod, container string, previous bool) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	name, limit := fmt.Sprintf("logs/%s/%s.log", pod, container), int64(maxLog)
	if previous {
		name = fmt.Sprintf("logs/%s/%s.previous.log", pod, container)
	}
	raw, err := c.Client.CoreV1().Pods(c.Namespace).GetLogs(pod, &corev1.PodLogOptions{
		Container: container, Previous: previous, TailLines: &c.Lines, LimitBytes: &limit,
	}).DoRaw(ctx)
	if err != nil {
		c.note(name, err)
		return
	}
	c.add(name, string(raw))
}

// metrics asks by way of the API server, as the pods are reached by nobody else.
func (c *Collector) metrics(ctx context.Context, pod string) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	name := "metrics/" + pod + ".txt"
	answer, err := c.Client.CoreV1().Pods(c.Namespace).ProxyGet("http", pod, admin, "metrics", nil).Stream(ctx)
	if err != nil {
		c.note(name, err)
		return
	}
	defer answer.Close()
	raw, err := io.ReadAll(io.LimitReader(answer, maxMetrics))
	if err != nil {
		c.note(name, err)
		return
	}
	c.add(name, string(raw))
}
