// SPDX-License-Identifier: Apache-2.0

package proxy_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/preflight"
	"github.com/local-source-proxy/local-source-proxy/src/internal/proxy"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// TestItTakesPushes is what it is for, over plain HTTP, because it is on loopback.
func TestItTakesPushes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "for it")
	registry, err := proxy.StartRegistry(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(registry.Host, "127.0.0.1:") {
		t.Errorf("it listens on %s", registry.Host)
	}
	client, err := upstream.New(upstream.Config{Host: registry.Host})
	if err != nil {
		t.Fatal(err)
	}
	if err := preflight.TryPush(t.Context(), client, "source"); err != nil {
		t.Error(err)
	}
	client.Close()
	if err := registry.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("a directory that was given has not been kept: %v", err)
	}
}

// TestItLeavesNothingBehind where it was given no directory.
func TestItLeavesNothingBehind(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	registry, err := proxy.StartRegistry(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if made, _ := os.ReadDir(os.TempDir()); len(made) != 1 {
		t.Errorf("made %v", made)
	}
	if err := registry.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(os.TempDir()); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

func TestADirectoryThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := proxy.StartRegistry(t.Context(), filepath.Join(file, "below")); err == nil || !strings.HasPrefix(err.Error(), "embedded registry: ") {
		t.Errorf("the error is %v", err)
	}
}
