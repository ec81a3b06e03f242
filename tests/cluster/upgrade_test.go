// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"strings"
	"testing"
	"time"
)

// The next version comes while people push, and no push fails.
func TestUpgrade(t *testing.T) {
	two := values{"proxy_configuration": values{"replicas": 2}}
	u := installFor(t, two)
	waitForReplicas(t, 2)
	versionOf := func() string {
		for _, line := range strings.Split(podMetrics(t, pods(t)[0].ip), "\n") {
			if strings.HasPrefix(line, "lsp_build_info") {
				return line
			}
		}
		return ""
	}
	if build := versionOf(); !strings.Contains(build, here.versions[0]) {
		t.Fatalf("what runs is %q, not %s", build, here.versions[0])
	}
	load := startPushes(t, 4, untilStopped, content{size: 32 << 20, pause: 20 * time.Millisecond})
	load.waitFor(t, 2)
	install(t, here.versions[1], valuesFor(t, u, two))
	waitForReplicas(t, 2)
	load.waitFor(t, 4)
	load.stop(t)
	load.check(t, u)
	if build := versionOf(); !strings.Contains(build, here.versions[1]) {
		t.Errorf("what runs is %q, not %s", build, here.versions[1])
	}
}

// A version that was published before, from an older commit, becomes the one of now while people push. Nothing
// is lost on the way: no push, no key of an upload session, no license.
func TestUpgradeFromAnEarlierCommit(t *testing.T) {
	if here.before == "" {
		t.Skip("LSP_BEFORE is empty: this clone lacks the commit in before.txt (git fetch --unshallow)")
	}
	uninstall(t) // what later versions have left is not there yet
	p := installImageProxyOf(t, here.before, here.before)
	p.values["proxy_configuration"] = values{"replicas": 2}
	install(t, here.before, p.values)
	waitForReplicas(t, 2)
	p.applyObjects(t)
	client := p.client(t)
	p.replicas(t, client)
	keys := func() string {
		return kubectl(t, "get", "secret", "-n", namespace, "local-source-proxy-session-key", "-o", "jsonpath={.data}")
	}
	before := keys()
	if before == "" {
		t.Fatal("the replicas of the earlier version share no key")
	}
	runs := func(version string) {
		t.Helper()
		for _, pod := range pods(t) {
			if metrics := podMetrics(t, pod.ip); !strings.Contains(metrics, `lsp_build_info{version="`+version) {
				t.Errorf("pod %s is not %s", pod.name, version)
			}
		}
	}
	runs(here.before)

	load := startPushes(t, 4, untilStopped, content{size: 32 << 20, pause: 20 * time.Millisecond})
	load.waitFor(t, 2)
	install(t, here.versions[1], p.values)
	waitForReplicas(t, 2)
	load.waitFor(t, 4)
	load.stop(t)
	load.check(t, p.upstream)
	runs(here.versions[1])
	if after := keys(); after != before {
		t.Error("the keys of upload sessions are others: uploads that were under way had to begin again")
	}

	step(t, "the license from before admits, and can have what definitions have by now")
	p.replicas(t, client)
	kubectl(t, "patch", "license", "-n", namespace, license, "--type=merge", "-p", `{"spec":{"limits":{"concurrentPulls":4}}}`)
	if got := kubectl(t, "get", "license", "-n", namespace, license, "-o", "jsonpath={.spec.limits.concurrentPulls}"); got != "4" {
		t.Errorf("the definition of now keeps concurrentPulls: %q", got)
	}
}
