// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// TestMirrorsMemory stays what it is, however large a blob is.
func TestMirrorsMemory(t *testing.T) {
	t.Parallel()
	const layer, most = 256 << 20, 160 << 20
	s := newSite(t)
	image, err := mutate.AppendLayers(harness.Image(t), large{layer})
	if err != nil {
		t.Fatal(err)
	}
	s.push("v1", image)
	for _, args := range [][]string{s.args("--to", s.to()), s.args("--to-tar", "images.tar"), {"mirror", "--from-tar", "images.tar", "--to", s.gate.host + "/again"}} {
		cmd := exec.Command(filepath.Join(os.Getenv(programsDir), "kubectl-lsp"), args...)
		cmd.Dir, cmd.Env = s.dir, s.env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		peak := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
		t.Logf("%s: %d MiB at most", args[len(args)-2], peak>>20)
		if peak > most {
			t.Errorf("%v takes %d MiB for a layer of %d", args, peak>>20, layer>>20)
		}
	}
}

// large is a layer of zeros.
type large struct{ size int64 }

func (l large) Digest() (v1.Hash, error) {
	content, _ := l.Compressed()
	digest, _, err := v1.SHA256(content)
	return digest, err
}
func (l large) DiffID() (v1.Hash, error)             { return l.Digest() }
func (l large) Size() (int64, error)                 { return l.size, nil }
func (large) MediaType() (types.MediaType, error)    { return types.OCIUncompressedLayer, nil }
func (l large) Uncompressed() (io.ReadCloser, error) { return l.Compressed() }
func (l large) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(io.LimitReader(zeros{}, l.size)), nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
