// SPDX-License-Identifier: Apache-2.0

package clients_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

func skopeoImage(t *testing.T, host, tag string) string {
	t.Helper()
	image := harness.Image(t)
	dir := harness.Layout(t, func(path layout.Path) error { return path.AppendImage(image, harness.RefName(tag)) })
	skopeoCopy(t, dir, host, tag)
	return harness.Digest(t, image)
}

func skopeoIndex(t *testing.T, host, tag string) string {
	t.Helper()
	index := harness.Index(t)
	dir := harness.Layout(t, func(path layout.Path) error { return path.AppendIndex(index, harness.RefName(tag)) })
	// skopeo writes the JSON of an index anew, so that only it knows the digest.
	return skopeoCopy(t, dir, host, tag)
}

// skopeoCopy returns the digest that skopeo says it pushed.
func skopeoCopy(t *testing.T, dir, host, tag string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "digest")
	run(t, harness.System(t, "skopeo", "skopeo"), "--insecure-policy", "copy", "--all", "--digestfile", file,
		"--dest-tls-verify=false", "--dest-no-creds", "oci:"+dir+":"+tag, "docker://"+host+"/source:"+tag)
	digest, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(digest)
}
