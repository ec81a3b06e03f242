// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"testing"
	"time"
)

// pod is one of the proxy's.
type pod struct {
	name, uid, ip string
	restarts      int
	// lastExit says why the container ended before, "" when it never did.
	lastExit string
	ready    bool
	// deleted is set once somebody asked for its end.
	deleted bool
}

// pods lists the proxy's, those that are ending included.
func pods(t *testing.T) []pod {
	t.Helper()
	var list struct {
		Items []struct {
			Metadata struct {
				Name, UID         string
				DeletionTimestamp *time.Time
			}
			Status struct {
				PodIP             string
				Phase             string
				ContainerStatuses []struct {
					RestartCount int
					Ready        bool
					LastState    struct{ Terminated *struct{ Reason string } }
				}
			}
		}
	}
	if err := get(t, &list, "pods", "-n", namespace, "-l", "app.kubernetes.io/name=local-source-proxy"); err != nil {
		t.Fatal(err)
	}
	var result []pod
	for _, item := range list.Items {
		if item.Status.Phase == "Failed" || item.Status.Phase == "Succeeded" {
			continue
		}
		p := pod{name: item.Metadata.Name, uid: item.Metadata.UID, ip: item.Status.PodIP, deleted: item.Metadata.DeletionTimestamp != nil}
		for _, container := range item.Status.ContainerStatuses {
			p.restarts, p.ready = container.RestartCount, container.Ready
			if container.LastState.Terminated != nil {
				p.lastExit = container.LastState.Terminated.Reason
			}
		}
		result = append(result, p)
	}
	return result
}
