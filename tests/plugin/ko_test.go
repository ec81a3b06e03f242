// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// ko builds a program and pushes it to "kubectl lsp registry" as its repository.
func TestKo(t *testing.T) {
	t.Parallel()
	ko := os.Getenv("LSP_TOOL_KO")
	if ko == "" {
		t.Skip("ko is not given: make package-test builds it")
	}
	p := newPlace(t)
	repository := p.openRegistry(t)

	// ko reads its base from a registry, and source is not for reading.
	bases := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(bases.Close)
	base, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: runtime.GOARCH, RootFS: v1.RootFS{Type: "layers"}})
	if err != nil {
		t.Fatal(err)
	}
	name := harness.Reference(t, strings.Replace(bases.URL, "http://127.0.0.1", "localhost", 1), "base", "latest")
	if err := remote.Write(name, base, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}

	program := t.TempDir()
	harness.WriteFile(t, filepath.Join(program, "go.mod"), []byte("module hello.example.com\n\ngo 1.26.0\n"))
	harness.WriteFile(t, filepath.Join(program, "main.go"), []byte("package main\n\nfunc main() { println(\"hello\") }\n"))
	cmd := p.command(t.Context(), ko, "build", "--bare", "--insecure-registry", "--sbom", "none", "--tags", "ko", "--platform", "linux/"+runtime.GOARCH, ".")
	cmd.Dir = program
	// The developer's home is empty, and would be filled with Go's caches.
	caches, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	build, modules, _ := strings.Cut(strings.TrimSpace(string(caches)), "\n")
	cmd.Env = append(cmd.Env, "KO_DOCKER_REPO="+repository, "KO_DEFAULTBASEIMAGE="+name.Name(), "GOCACHE="+build, "GOMODCACHE="+modules, "GOFLAGS=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("ko: %v\n%s", err, out)
	}
	lines := strings.Fields(strings.TrimSpace(string(out)))
	p.upstream.AssertArrived(t, "ko", digestOf(t, lines[len(lines)-1]))
}
