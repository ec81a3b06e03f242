// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestNamespacedAPIOutlivesEverything: pods and the API server are killed, the next version comes, and every blob
// is whole.
func TestNamespacedAPIOutlivesEverything(t *testing.T) {
	u := installAPI(t, values{}, nil)
	waitForReplicas(t, 2)
	load := startPushesTo(t, namespaced("team-a"), repository+"/team-a", 4, untilStopped, content{size: 64 << 20, pause: 50 * time.Millisecond})
	load.waitFor(t, 1)
	victim := pods(t)[0]
	eventually(t, time.Minute, "uploads are under way in "+victim.name, func() error {
		if metric(t, victim.ip, `lsp_uploads_in_flight{door="api"}`) == 0 {
			return errors.New("none")
		}
		return nil
	})
	step(t, "killing pod %s", victim.name)
	kubectl(t, "delete", "pod", "-n", namespace, victim.name, "--grace-period=1", "--wait=false")
	waitForReplicas(t, 2)
	load.waitFor(t, 2)
	step(t, "killing the API server")
	killAPIServer(t)
	eventually(t, 2*time.Minute, "the API server is back", func() error {
		_, err := try(t.Context(), "", "get", "--raw", "/readyz")
		return err
	})
	load.waitFor(t, 2)
	step(t, "the next version")
	install(t, here.versions[1], valuesFor(t, u, values{"namespaced_api": values{"enabled": true}}))
	waitForReplicas(t, 2)
	load.waitFor(t, 2)
	load.stop(t)
	load.check(t, u)
	if load.continued == 0 {
		t.Error("no upload was cut and continued: this test has shown nothing")
	}
}

// killAPIServer kills that of this cluster, which its init starts again.
func killAPIServer(t *testing.T) {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range processes {
		content, err := os.ReadFile(path)
		args := strings.Split(string(content), "\x00")
		if err != nil || filepath.Base(args[0]) != "kube-apiserver" || !strings.Contains(string(content), filepath.Join(here.dir, "apiserver")) {
			continue
		}
		var pid int
		if _, err := fmt.Sscanf(path, "/proc/%d/cmdline", &pid); err != nil {
			t.Fatal(err)
		}
		process, err := os.FindProcess(pid)
		if err != nil {
			t.Fatal(err)
		}
		if err := process.Kill(); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatal("the API server is not found")
}
