// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// ctrPull pulls by a containerd of its own, as a node's kubelet does.
func ctrPull(t *testing.T, image, id string) (string, error) {
	t.Helper()
	ctr := harness.System(t, "ctr", "containerd")
	home := t.TempDir()
	address := startContainerd(t, home)
	pull := []string{"--address=" + address, "images", "pull", "--plain-http", "--snapshotter=native", "--platform=linux/amd64"}
	if id != "" {
		pull = append(pull, "--user=ops@acme.example:"+id)
	}
	if _, err := try(t, home, ctr, append(pull, image)...); err != nil {
		return "", err
	}
	out, err := try(t, home, ctr, "--address="+address, "images", "ls", "name=="+image)
	if err != nil {
		return "", err
	}
	for _, field := range strings.Fields(out) {
		if strings.HasPrefix(field, "sha256:") {
			return field, nil
		}
	}
	return "", fmt.Errorf("the image is not listed: %s", out)
}

// startContainerd starts one that shares nothing with the system's, if there is one, and gives its socket.
func startContainerd(t *testing.T, dir string) string {
	t.Helper()
	program := harness.System(t, "containerd", "containerd")
	if os.Geteuid() != 0 {
		t.Skip("containerd runs as root only")
	}
	address := filepath.Join(dir, "c.sock")
	config := harness.WriteFile(t, filepath.Join(dir, "containerd.toml"), []byte(fmt.Sprintf(`version = 2
root = %q
state = %q
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
[grpc]
  address = %q
[ttrpc]
  address = %q
`, filepath.Join(dir, "root"), filepath.Join(dir, "state"), address, address+".ttrpc")))
	harness.StartProcess(t, "containerd", exec.Command(program, "--config="+config, "--log-level=warn"))
	harness.Eventually(t, "containerd listens", func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", address)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
	return address
}
