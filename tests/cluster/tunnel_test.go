// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Other people's clients push to "kubectl lsp registry", which takes it through the API server.
func TestRegistryForOtherClients(t *testing.T) {
	u := installFor(t, nil)
	d := newDesk(t, withToken(t, "developer"))
	source := openRegistry(t, d)

	t.Run("skopeo", func(t *testing.T) {
		layer, err := random.Layer(1<<20, types.OCILayer)
		if err != nil {
			t.Fatal(err)
		}
		// skopeo reads layouts of OCI's media types only.
		image, err := mutate.AppendLayers(mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1), layer)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		path, err := layout.Write(dir, empty.Index)
		if err != nil {
			t.Fatal(err)
		}
		if err := path.AppendImage(image, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "x"})); err != nil {
			t.Fatal(err)
		}
		run(t, d, "skopeo", "--insecure-policy", "copy", "--preserve-digests", "--dest-tls-verify=false", "oci:"+dir+":x", "docker://"+source+":skopeo")
		digest, err := image.Digest()
		if err != nil {
			t.Fatal(err)
		}
		checkUpstream(t, u, "skopeo", digest.String())
	})
	t.Run("imgpkg", func(t *testing.T) {
		out := run(t, d, here.imgpkg, "push", "--tty", "-i", source+":imgpkg", "-f", d.tree)
		checkUpstream(t, u, "imgpkg", regexp.MustCompile(`sha256:[0-9a-f]{64}`).FindString(out))
	})
}

// openRegistry runs "kubectl lsp registry" until the test ends, and returns host:port/source. Ctrl-C ends it
// well.
func openRegistry(t *testing.T, d *desk) string {
	t.Helper()
	// Not of the test's context, whose end would kill it: it gets its Ctrl-C.
	cmd := d.command(context.WithoutCancel(t.Context()), filepath.Join(here.dir, "bin", "kubectl"), "lsp", "registry", "--port", "0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("it does not end well: %v\n%s", err, stderr.String())
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("it prints no address: %v", err)
	}
	return strings.TrimSpace(line)
}

// run runs a program at a desk, and returns what it prints.
func run(t *testing.T, d *desk, program string, args ...string) string {
	t.Helper()
	out, err := d.command(t.Context(), program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
	return string(out)
}
