// SPDX-License-Identifier: Apache-2.0

package clients_test

import (
	"archive/tar"
	"bytes"
	"crypto/rand"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// tarball writes a tar with one file of random content and returns its path.
func tarball(t *testing.T) string {
	t.Helper()
	content := make([]byte, 64<<10)
	// crypto/rand.Read never fails.
	_, _ = rand.Read(content)
	var out bytes.Buffer
	archive := tar.NewWriter(&out)
	if err := archive.WriteHeader(&tar.Header{Name: "content", Mode: 0o644, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return harness.WriteFile(t, filepath.Join(t.TempDir(), "layer.tar"), out.Bytes())
}

// pushedDigest reads the digest at the end of the reference that crane prints.
func pushedDigest(t *testing.T, output string) string {
	t.Helper()
	i := strings.LastIndex(output, "sha256:")
	if i < 0 {
		t.Fatalf("no digest in the client's output:\n%s", output)
	}
	digest, _, _ := strings.Cut(output[i:], "\n")
	return strings.Trim(digest, "' ")
}

func craneAppend(t *testing.T, host, tag string) string {
	t.Helper()
	return pushedDigest(t, run(t, harness.Tool(t, "crane"),
		"append", "--new_layer", tarball(t), "--new_layer", tarball(t), "--new_tag", host+"/source:"+tag))
}

func craneIndex(t *testing.T, host, tag string) string {
	t.Helper()
	index := harness.Index(t)
	dir := harness.Layout(t, func(path layout.Path) error { return path.AppendIndex(index) })
	run(t, harness.Tool(t, "crane"), "push", "--index", dir, host+"/source:"+tag+"-outer")
	// What crane pushes is the layout's own index, which holds ours.
	return craneTag(t, host, tag, harness.Digest(t, index))
}

// craneTag gives a manifest that is there already a tag.
func craneTag(t *testing.T, host, tag, digest string) string {
	t.Helper()
	run(t, harness.Tool(t, "crane"), "tag", host+"/source@"+digest, tag)
	return digest
}
