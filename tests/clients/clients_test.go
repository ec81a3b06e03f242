// SPDX-License-Identifier: Apache-2.0

package clients_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m, "crane", "imgpkg", "registry")) }

// client is one way to push. Each function pushes new content to host/source:tag and returns the digest of
// what the client says, or knows, that it pushed.
type client struct {
	name string
	push func(t *testing.T, host, tag string) (digest string)
}

func clients() []client {
	return []client{
		{"go-containerregistry image", ggcrImage},
		{"go-containerregistry index", ggcrIndex},
		{"crane append", craneAppend},
		{"crane push of an index", craneIndex},
		{"imgpkg image", imgpkgImage},
		{"imgpkg bundle", imgpkgBundle},
		{"skopeo image", skopeoImage},
		{"skopeo index", skopeoIndex},
		{"oras artifact", orasArtifact},
		{"oras index", orasIndex},
		{"regclient image", regclientImage},
		{"regclient image in chunks", regclientChunks},
		{"regclient index", regclientIndex},
	}
}

func TestPushArrives(t *testing.T) {
	t.Parallel()
	for _, kind := range harness.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			upstream := kind.Start(t)
			server := harness.Start(t, harness.Options{Upstream: upstream})
			for i, client := range clients() {
				t.Run(client.name, func(t *testing.T) {
					t.Parallel()
					tag := "developer-workload-" + string(rune('a'+i))
					digest := client.push(t, server.Host, tag)
					upstream.AssertArrived(t, tag, digest)
				})
			}
		})
	}
}

// run runs a client's program and returns what it prints; its failure fails the test.
func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := try(t, program, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// try runs a client's program with an empty home, so that no credential of the machine's user takes part.
func try(t *testing.T, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+home, "DOCKER_CONFIG="+home, "XDG_RUNTIME_DIR="+home, "REGISTRY_AUTH_FILE=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return string(out), nil
}
