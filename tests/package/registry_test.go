// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

const (
	user     = "robot"
	password = "a password with spaces"
)

// registry is a distribution v3 process with Basic authentication and its blobs in a directory.
type registry struct {
	host    string
	storage string
	stop    func()
}

const registryConfig = `version: 0.1
log: {level: info, formatter: json}
storage:
  filesystem: {rootdirectory: %q}
http: {addr: "127.0.0.1:0"}
auth:
  htpasswd: {realm: test, path: %q}
`

func startRegistry(t *testing.T) *registry {
	t.Helper()
	dir := t.TempDir()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatalf("hash password: %v", err)
	}
	r := &registry{storage: filepath.Join(dir, "storage")}
	write(t, filepath.Join(dir, "htpasswd"), user+":"+string(hash)+"\n")
	config := filepath.Join(dir, "config.yml")
	write(t, config, fmt.Sprintf(registryConfig, r.storage, filepath.Join(dir, "htpasswd")))

	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, tool(t, "registry"), "serve", config)
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	output, err := cmd.StderrPipe()
	if err != nil {
		t.Fatalf("pipe: %v", err)
	}
	cmd.Stdout = io.Discard
	if err := cmd.Start(); err != nil {
		t.Fatalf("start registry: %v", err)
	}
	drained := make(chan struct{})
	r.stop = func() {
		cancel()
		<-drained
		_ = cmd.Wait() // it was told to end
	}
	t.Cleanup(func() { r.stop() })

	listening := regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)
	var log strings.Builder
	lines := bufio.NewScanner(output)
	for r.host == "" && lines.Scan() {
		fmt.Fprintln(&log, lines.Text())
		if match := listening.FindStringSubmatch(lines.Text()); match != nil {
			r.host = match[1]
		}
	}
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, output)
	}()
	if r.host == "" {
		t.Fatalf("the registry did not start:\n%s", log.String())
	}
	return r
}

// files lists what the registry has stored, with the time each file was written.
func (r *registry) files(t *testing.T) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(r.storage, func(path string, entry fs.DirEntry, err error) error {
		// Upload sessions come and go; content does not.
		if err != nil || entry.IsDir() || strings.Contains(path, "_uploads") {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		found = append(found, fmt.Sprintf("%s %d %s", path, info.Size(), info.ModTime()))
		return nil
	})
	if err != nil {
		t.Fatalf("list the registry's files: %v", err)
	}
	return found
}

// dockerConfig logs in to the registries, as the documentation says, and returns the environment that points
// to the result.
func dockerConfig(t *testing.T, password string, registries ...*registry) string {
	t.Helper()
	env := "DOCKER_CONFIG=" + t.TempDir()
	for _, r := range registries {
		mustRun(t, command{env: []string{env}, stdin: password, args: []string{tool(t, "crane"), "auth", "login", r.host, "-u", user, "--password-stdin"}})
	}
	return env
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatalf("write: %v", err)
	}
}
