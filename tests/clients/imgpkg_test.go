// SPDX-License-Identifier: Apache-2.0

package clients_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

func imgpkgImage(t *testing.T, host, tag string) string {
	t.Helper()
	return pushedDigest(t, run(t, harness.Tool(t, "imgpkg"),
		"push", "--tty", "-i", host+"/source:"+tag, "-f", filepath.Dir(tarball(t))))
}

// imgpkgBundle pushes a bundle whose lock names an image that is in the repository already, as vendors'
// bundles do.
func imgpkgBundle(t *testing.T, host, tag string) string {
	t.Helper()
	image := ggcrImage(t, host, tag+"-locked")
	dir := filepath.Dir(tarball(t))
	if err := os.Mkdir(filepath.Join(dir, ".imgpkg"), 0o700); err != nil {
		t.Fatal(err)
	}
	harness.WriteJSON(t, filepath.Join(dir, ".imgpkg", "images.yml"), map[string]any{
		"apiVersion": "imgpkg.carvel.dev/v1alpha1", "kind": "ImagesLock",
		"images": []any{map[string]any{"image": host + "/source@" + image}},
	})
	return pushedDigest(t, run(t, harness.Tool(t, "imgpkg"), "push", "--tty", "-b", host+"/source:"+tag, "-f", dir))
}
