// SPDX-License-Identifier: Apache-2.0

// Package cluster_test installs Local Source Proxy into a real cluster and uses it as developers and
// operators do.
//
// Nothing in it is simulated: the package comes out of a registry, kapp-controller installs it, requests pass
// through the API server, pods are run by a kubelet. The one part that is played is secretgen-controller,
// which is not to be had: [sharing] stands in for it. The package refuses to run without a cluster of its own:
// scripts/cluster-test.sh starts one, publishes two versions into it, and runs this inside its network.
package cluster_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Names that the package gives (see config/).
const (
	namespace  = "tap-local-source-system"
	deployment = "deployment/local-source-proxy"
)

// nodeIP is where everything of the cluster listens (scripts/cluster-lib.sh).
const nodeIP = "10.77.0.1"

// cluster is the one that the script started.
type cluster struct {
	// dir holds its programs, keys and logs.
	dir string
	// versions are those that were published, older first.
	versions []string
	// before is a version that was published from an older commit (before.txt); empty where there is none.
	before string
	// packages is the place in the cluster's registry where they are.
	packages string
	// registry is the program that upstream registries are run with, imgpkg one of the developers' tools.
	registry, imgpkg string
	// plugin is the directory with kubectl-lsp.
	plugin string
	// operator is the program of cmd/operator, for an image of its own.
	operator string
}

var here cluster

func TestMain(m *testing.M) {
	here = cluster{
		dir:      os.Getenv("LSP_CLUSTER"),
		versions: strings.Fields(os.Getenv("LSP_VERSIONS")),
		before:   os.Getenv("LSP_BEFORE"),
		packages: os.Getenv("LSP_PACKAGES"),
		registry: os.Getenv("LSP_TOOL_REGISTRY"),
		imgpkg:   os.Getenv("LSP_TOOL_IMGPKG"),
		plugin:   os.Getenv("LSP_PLUGIN_DIR"),
		operator: os.Getenv("LSP_OPERATOR"),
	}
	if slices.Contains([]string{here.dir, here.packages, here.registry, here.imgpkg, here.plugin, here.operator}, "") || len(here.versions) != 2 {
		fmt.Fprintln(os.Stderr, "these tests need a cluster of their own: make cluster-test starts one")
		os.Exit(1)
	}
	os.Exit(runWithSharing(m))
}

// runWithSharing runs the tests beside the stand-in for secretgen-controller, which ends with them.
func runWithSharing(m *testing.M) int {
	controller, err := newSharing(here.dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		controller.run(ctx)
	}()
	defer func() {
		cancel()
		<-ended
	}()
	return m.Run()
}

// step says what happens next.
func step(t *testing.T, format string, args ...any) {
	t.Helper()
	t.Logf("%s  %s", time.Now().UTC().Format("15:04:05"), fmt.Sprintf(format, args...))
}

// secret reads a key or token of the cluster.
func (c cluster) secret(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(c.dir, "pki", file))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(content))
}

// try runs kubectl as the administrator, with input, and returns what it printed and whether it succeeded.
func try(ctx context.Context, input string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(here.dir, "bin", "kubectl"),
		append([]string{"--cache-dir", filepath.Join(here.dir, "cache"), "--kubeconfig", filepath.Join(here.dir, "kubeconfig.inside")}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("kubectl %s: %w\n%s%s", strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

// kubectl is try, and ends the test when it fails.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := try(t.Context(), "", args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// apply brings manifests into the cluster, which must know every field of them.
func apply(t *testing.T, manifests string) {
	t.Helper()
	if _, err := try(t.Context(), manifests, "apply", "--validate=strict", "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

// eventually waits until done returns nothing, and otherwise ends the test with the last thing that was
// missing.
func eventually(t *testing.T, limit time.Duration, what string, done func() error) {
	t.Helper()
	started := time.Now()
	var err error
	for time.Since(started) < limit {
		if err = done(); err == nil {
			step(t, "%s: after %.1f s", what, time.Since(started).Seconds())
			return
		}
		select {
		case <-t.Context().Done():
			t.Fatalf("%s: %v", what, err)
		case <-time.After(200 * time.Millisecond):
		}
	}
	t.Fatalf("%s: not within %s: %v", what, limit, err)
}

// explain prints, when the test failed, what the cluster says about it.
func explain(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		for _, args := range [][]string{
			{"get", "events", "-n", namespace, "--sort-by=.lastTimestamp"},
			{"get", "all", "-n", namespace, "-o", "wide"},
			{"describe", "pods", "-n", namespace},
			{"logs", "-n", namespace, "-l", "app.kubernetes.io/name=local-source-proxy", "--prefix", "--tail=60"},
			{"logs", "-n", namespace, "-l", "app.kubernetes.io/name=local-source-proxy", "--prefix", "--tail=30", "--previous"},
			{"logs", "-n", namespace, "-l", "app.kubernetes.io/name=image-proxy", "--prefix", "--tail=60"},
			{"describe", "packagerepositories,packageinstalls,apps", "-A"},
			{"logs", "-n", "kapp-controller", "deployment/kapp-controller", "-c", "kapp-controller", "--tail=20"},
		} {
			out, err := try(ctx, "", args...)
			if err != nil {
				out += err.Error()
			}
			t.Logf("kubectl %s\n%s", strings.Join(args, " "), out)
		}
	})
}
