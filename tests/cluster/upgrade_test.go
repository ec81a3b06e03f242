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
