// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"
)

// Pushes survive what happens to pods: some are killed, some end in peace, all are replaced, and every blob
// is whole.
func TestReplicas(t *testing.T) {
	u := installFor(t, values{"proxy_configuration": values{"replicas": 3}})
	waitForReplicas(t, 3)
	// Ten seconds a push, so that there is time to end a pod in the middle of one.
	load := startPushes(t, 4, untilStopped, content{size: 200 << 20, pause: 50 * time.Millisecond})
	load.waitFor(t, 1)

	for i, victim := range pods(t) {
		eventually(t, 2*time.Minute, "uploads are under way in "+victim.name, func() error {
			if n := metric(t, victim.ip, `lsp_uploads_in_flight{door="source"}`); n == 0 {
				return errors.New("none")
			}
			return nil
		})
		if i == 1 {
			// It is asked to end, and finishes its uploads.
			step(t, "deleting pod %s", victim.name)
			kubectl(t, "delete", "pod", "-n", namespace, victim.name, "--wait=false")
		} else {
			// It is killed after a second, in the middle of its uploads.
			step(t, "killing pod %s", victim.name)
			kubectl(t, "delete", "pod", "-n", namespace, victim.name, "--grace-period=1", "--wait=false")
		}
		waitForReplicas(t, 3)
		load.waitFor(t, 2)
	}
	step(t, "rolling update")
	kubectl(t, "rollout", "restart", "-n", namespace, deployment)
	kubectl(t, "rollout", "status", "-n", namespace, deployment, "--timeout=3m")
	load.waitFor(t, 2)
	load.stop(t)
	load.check(t, u)
	if load.continued == 0 {
		t.Error("no upload was cut and continued: this test has shown nothing")
	}
}

// An upload goes on although not one of the pods that it began with is left.
func TestUploadOutlivesPods(t *testing.T) {
	u := installFor(t, values{"proxy_configuration": values{"replicas": 2}})
	waitForReplicas(t, 2)
	developer := as(t, "developer")
	whole := content{seed: rand.Uint64(), size: 12 << 20}
	digest, err := whole.digest()
	if err != nil {
		t.Fatal(err)
	}
	const half = 5 << 20
	load := &pushes{repository: repository}
	location, err := load.begin(t.Context(), developer)
	if err != nil {
		t.Fatal(err)
	}
	step(t, "pushing %d of %d MiB", half>>20, whole.size>>20)
	got, err := developer.do(t.Context(), "PATCH", location, io.LimitReader(whole.from(0), half), nil)
	if err != nil || got.status != http.StatusAccepted {
		t.Fatalf("PATCH: %v, status %d\n%s", err, got.status, got.body)
	}
	before := pods(t)
	step(t, "replacing all pods")
	kubectl(t, "rollout", "restart", "-n", namespace, deployment)
	kubectl(t, "rollout", "status", "-n", namespace, deployment, "--timeout=3m")
	eventually(t, 2*time.Minute, "the old pods are gone", func() error {
		for _, old := range before {
			if slices.ContainsFunc(pods(t), func(p pod) bool { return p.uid == old.uid }) {
				return fmt.Errorf("%s is there", old.name)
			}
		}
		return nil
	})
	location, offset, err := load.status(t.Context(), developer, got.header.Get("Location"))
	if err != nil || offset != half {
		t.Fatalf("the upload's status: %v, %d bytes, not %d", err, offset, half)
	}
	step(t, "pushing the rest")
	header := http.Header{"Content-Range": {fmt.Sprintf("%d-%d", offset, whole.size-1)}}
	got, err = developer.do(t.Context(), "PATCH", location, io.MultiReader(whole.from(offset)), header)
	if err != nil || got.status != http.StatusAccepted {
		t.Fatalf("PATCH of the rest: %v, status %d\n%s", err, got.status, got.body)
	}
	if err := load.finish(t.Context(), developer, got.header.Get("Location"), digest); err != nil {
		t.Fatal(err)
	}
	load.done = []string{digest}
	load.check(t, u)
}

// waitForReplicas returns when n pods are ready that nobody asked to end.
func waitForReplicas(t *testing.T, n int) {
	t.Helper()
	eventually(t, 2*time.Minute, fmt.Sprintf("%d pods are ready", n), func() error {
		ready := 0
		for _, pod := range pods(t) {
			if pod.ready && !pod.deleted {
				ready++
			}
		}
		if ready != n {
			return fmt.Errorf("%d are", ready)
		}
		return nil
	})
}
