// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// The pods run where nothing but restricted pods may, and their ServiceAccount can do what its Role says and
// no more.
func TestRestricted(t *testing.T) {
	installFor(t, nil)
	step(t, "the namespace enforces the restricted Pod Security Standard: a pod that does not say how it is confined is refused")
	_, err := try(t.Context(), fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: careless, namespace: %s}
spec: {containers: [{name: careless, image: local-source-proxy}]}
`, namespace), "apply", "--dry-run=server", "-f", "-")
	if err == nil || !strings.Contains(err.Error(), `violates PodSecurity "restricted:`) {
		t.Errorf("a careless pod in the namespace: %v", err)
	}
	for _, pod := range pods(t) {
		if !pod.ready {
			t.Errorf("pod %s is not ready", pod.name)
		}
	}

	step(t, "what the ServiceAccount can do, beside what any other can")
	kubectl(t, "create", "serviceaccount", "-n", namespace, "nobody")
	mine, others := rights(t, "proxy-manager"), rights(t, "nobody")
	mine = slices.DeleteFunc(mine, func(line string) bool { return slices.Contains(others, line) })
	want := []string{
		"secrets [] [local-source-proxy-session-key] [get list watch update]",
		"secrets [] [local-source-proxy-values] [get list watch]",
		"secrets [] [" + pushSecret + "] [get list watch]",
	}
	if !slices.Equal(mine, want) {
		t.Errorf("it can\n%s\nand should\n%s", strings.Join(mine, "\n"), strings.Join(want, "\n"))
	}
}

// rights are the lines of can-i --list for a ServiceAccount of the package's namespace, sorted.
func rights(t *testing.T, account string) []string {
	t.Helper()
	out := kubectl(t, "auth", "can-i", "--list", "--no-headers", "-n", namespace, "--as", "system:serviceaccount:"+namespace+":"+account)
	var lines []string
	for _, line := range strings.Split(out, "\n") {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	slices.Sort(lines)
	return lines
}

// Eight large pushes at once stay within the memory that one pod has by default.
func TestMemory(t *testing.T) {
	u := installFor(t, nil)
	const pushesAtOnce, size = 8, 200 << 20
	limit := kubectl(t, "get", "-n", namespace, deployment, "-o", "jsonpath={.spec.template.spec.containers[0].resources.limits.memory}")
	if limit != "100Mi" {
		t.Fatalf("the limit is %q", limit)
	}
	before := pods(t)
	if len(before) != 1 {
		t.Fatalf("%d pods, not 1", len(before))
	}
	load := startPushes(t, pushesAtOnce, 1, content{size: size})
	done := make(chan struct{})
	go func() {
		defer close(done)
		load.clients.Wait()
	}()
	var most float64
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-time.After(100 * time.Millisecond):
		}
		if now := metric(t, before[0].ip, "process_resident_memory_bytes"); now > most {
			most = now
		}
	}
	load.stop(t)
	step(t, "resident memory at most %.0f MiB", most/(1<<20))
	if most == 0 || most > 100<<20 {
		t.Errorf("resident memory reached %.0f bytes", most)
	}
	if load.retries() != 0 {
		t.Errorf("%d requests had to be repeated", load.retries())
	}
	after := pods(t)
	if len(after) != 1 || after[0].uid != before[0].uid || after[0].restarts != 0 {
		t.Errorf("the pod was replaced or restarted: %+v before, %+v after", before, after)
	}
	load.check(t, u)
}
