// SPDX-License-Identifier: Apache-2.0

package commands_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// TestBuildah: build from nothing and push; pull it back, and by a license.
func TestBuildah(t *testing.T) {
	t.Parallel()
	program := harness.System(t, "buildah", "buildah")
	if os.Geteuid() != 0 {
		t.Skip("buildah needs subordinate user ids where it does not run as root")
	}
	everyWay(t, func(t *testing.T, p *place, pushing, pulling way) {
		m := p.machine(t, map[string][]byte{
			"policy.json": []byte(`{"default":[{"type":"insecureAcceptAnything"}]}`),
			"data":        harness.NewBlob(64 << 10).Content,
		})
		// What is built stays between commands; what is pulled goes into another store.
		store := func() func(args ...string) string {
			dir := t.TempDir()
			return func(args ...string) string {
				out, _ := m.run(t, program, append([]string{
					"--root=" + filepath.Join(dir, "root"), "--runroot=" + filepath.Join(dir, "run"), "--storage-driver=vfs",
				}, args...)...)
				return strings.TrimSpace(out)
			}
		}
		buildah := store()
		container := buildah("from", "scratch")
		buildah("copy", container, "data", "/data")
		image := buildah("commit", "--signature-policy=policy.json", "--format=oci", container)
		tag := "buildah-" + pushing.tag()
		buildah("push", "--signature-policy=policy.json", "--tls-verify=false", image, "docker://"+pushing.repository+":"+tag)
		for _, w := range []way{pushing, pulling} {
			got := store()("pull", "--signature-policy=policy.json", "--tls-verify=false", "--quiet",
				w.repository+":"+tag)
			if got != image {
				t.Errorf("%s: buildah pulled %s, want %s", w.name, got, image)
			}
		}
	})
}
