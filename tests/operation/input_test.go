// SPDX-License-Identifier: Apache-2.0

package operation_test

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// command runs the binary to its end.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	process := harness.StartProcess(t, "local-source-proxy", harness.Command(args...))
	code = process.Wait(t)
	return code, process.Stdout.String(), process.Stderr.String()
}

// TestBadInput: one clear line on stderr that names the place, and exit code 1, or 2 for a mistake in the
// command line.
func TestBadInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) string {
		return harness.WriteFile(t, filepath.Join(dir, name), []byte(content))
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	good := "--values-file=" + write("good.yaml", "repository: 127.0.0.1:1/team/source\n")
	serve := func(args ...string) []string {
		return append([]string{"serve", "--listen-address=127.0.0.1:0", "--admin-address=127.0.0.1:0"}, args...)
	}
	address := taken.Addr().String()
	malformed, unknown := write("malformed.yaml", "repository: [\n"), write("unknown.yaml", "repositry: x/y\n")
	wrongType, wrongCA := write("type.yaml", "repository: r.example/x\nallow_pull: perhaps\n"), write("ca.yaml", "repository: r.example/x\nca_cert_data: none\n")
	wrongName := write("name.yaml", "repository: r.example/Not A Name\n")
	docker, short := write("config.json", `{"auths":`), write("short", "c2hvcnQ=\n")
	notBase64, empty := write("not-base64", "!!!\n"), write("empty", "")
	tests := map[string]struct {
		args []string
		code int
		says []string
	}{
		"malformed values file":   {serve("--values-file=" + malformed), 1, []string{malformed}},
		"unknown key":             {serve("--values-file=" + unknown), 1, []string{unknown, "repositry"}},
		"wrong type":              {serve("--values-file=" + wrongType), 1, []string{wrongType, "allow_pull"}},
		"not a CA":                {serve("--values-file=" + wrongCA), 1, []string{wrongCA, "ca_cert_data"}},
		"not a repository":        {serve("--values-file=" + wrongName), 1, []string{wrongName, "repository"}},
		"no such values file":     {serve("--values-file=/does/not/exist.yaml"), 1, []string{"/does/not/exist.yaml"}},
		"malformed docker config": {serve(good, "--docker-config="+docker), 1, []string{docker}},
		"no such docker config":   {serve(good, "--docker-config=/does/not/exist.json"), 1, []string{"/does/not/exist.json"}},
		"no such key file":        {serve(good, "--session-key-file=/does/not/exist"), 1, []string{"/does/not/exist"}},
		"short key":               {serve(good, "--session-key-file="+short), 1, []string{short, "32"}},
		"key is not base64":       {serve(good, "--session-key-file="+notBase64), 1, []string{notBase64, "base64"}},
		"empty key file":          {serve(good, "--session-key-file="+empty), 1, []string{empty}},
		"side's address in use":   {[]string{"serve", good, "--listen-address=" + address, "--admin-address=127.0.0.1:0"}, 1, []string{address, "--listen-address"}},
		"admin's address in use":  {[]string{"serve", good, "--listen-address=127.0.0.1:0", "--admin-address=" + address}, 1, []string{address, "--admin-address"}},
		"not an address":          {[]string{"serve", good, "--listen-address=nowhere", "--admin-address=127.0.0.1:0"}, 1, []string{"nowhere"}},
		"unknown flag":            {serve("--unknown"), 2, []string{"--unknown", "--help"}},
		"flag without its value":  {[]string{"serve", "--values-file"}, 2, []string{"--values-file"}},
		"not a duration":          {serve(good, "--shutdown-timeout=soon"), 2, []string{"--shutdown-timeout", "soon"}},
		"unknown log format":      {serve(good, "--log-format=xml"), 2, []string{"xml", "json"}},
		"unknown log level":       {serve(good, "--log-level=loud"), 2, []string{"loud", "debug"}},
		"unknown command":         {[]string{"srve"}, 2, []string{"srve"}},
		"unexpected argument":     {serve("unexpected"), 2, []string{"unexpected"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := command(t, tc.args...)
			if code != tc.code {
				t.Errorf("exit code %d, want %d", code, tc.code)
			}
			if lines := strings.Count(stderr, "\n"); lines != 1 || !strings.HasSuffix(stderr, "\n") {
				t.Errorf("%d lines on stderr, want one", lines)
			}
			for _, part := range tc.says {
				if !strings.Contains(stderr, part) {
					t.Errorf("stderr does not name %q", part)
				}
			}
			if t.Failed() {
				t.Logf("stdout: %s\nstderr: %s", stdout, stderr)
			}
		})
	}
}

// TestVersion says something, on stdout, and nothing on stderr.
func TestVersion(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := command(t, "version")
	if code != 0 || !strings.Contains(stdout, "go1.") || stderr != "" {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

// TestHelp names every command and flag of the contract.
func TestHelp(t *testing.T) {
	t.Parallel()
	_, root, _ := command(t, "--help")
	_, serve, _ := command(t, "serve", "--help")
	for _, name := range []string{"serve", "check", "version"} {
		if !strings.Contains(root, "\n  "+name+" ") {
			t.Errorf("the help does not name the command %s", name)
		}
	}
	for _, flag := range []string{
		"listen-address", "admin-address", "values-file", "docker-config", "push-secret", "namespace", "session-key-file",
		"embedded-registry", "log-format", "log-level", "shutdown-timeout",
	} {
		if !strings.Contains(serve, "--"+flag) {
			t.Errorf("the help of serve does not name --%s", flag)
		}
	}
}
