// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// pod is one of the package's.
type pod struct {
	name, uid, ip string
	restarts      int
	// lastExit says why the container ended before, "" when it never did.
	lastExit string
	ready    bool
	// deleted is set once somebody asked for its end.
	deleted bool
}

// pods lists those of the source proxy, those that are ending included.
func pods(t *testing.T) []pod {
	t.Helper()
	return podsOf(t, "local-source-proxy")
}

// podsOf lists those of a side.
func podsOf(t *testing.T, side string) []pod {
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
	if err := get(t, &list, "pods", "-n", namespace, "-l", "app.kubernetes.io/name="+side); err != nil {
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

// podMetrics is what a pod answers at its admin address.
func podMetrics(t *testing.T, ip string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+ip+":8081/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// metric is one of them, by its name with labels; 0 when the pod has none, as before the first upload.
func metric(t *testing.T, ip, name string) float64 {
	t.Helper()
	for _, line := range strings.Split(podMetrics(t, ip), "\n") {
		if text, ok := strings.CutPrefix(line, name+" "); ok {
			value, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatal(err)
			}
			return value
		}
	}
	return 0
}
