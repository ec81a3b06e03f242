// SPDX-License-Identifier: Apache-2.0

package operation_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// step is a line of "check --output json".
type step struct{ Name, Status, Detail, Remedy string }

// check runs the command with files as serve would get them.
func check(t *testing.T, values map[string]any, dockerConfig []byte) (code int, steps []step) {
	t.Helper()
	dir := t.TempDir()
	args := []string{"check", "--output=json", "--values-file=" + harness.WriteJSON(t, filepath.Join(dir, "values.yaml"), values)}
	if dockerConfig != nil {
		args = append(args, "--docker-config="+harness.WriteFile(t, filepath.Join(dir, "config.json"), dockerConfig))
	}
	code, stdout, stderr := command(t, args...)
	if strings.Contains(stdout+stderr, harness.Password) {
		t.Error("the output holds the password")
	}
	for line := range strings.Lines(stdout) {
		var one step
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("a line is not JSON: %v: %s", err, line)
		}
		steps = append(steps, one)
	}
	if len(steps) == 0 {
		t.Fatalf("no step (exit code %d): %s", code, stderr)
	}
	return code, steps
}

func values(upstream *harness.Registry) map[string]any {
	return map[string]any{"repository": upstream.Host + "/" + harness.Repository, "ca_cert_data": string(upstream.CA)}
}

// TestCheckSucceeds: every step of a push's way is gone, and nothing is left on the registry.
func TestCheckSucceeds(t *testing.T) {
	t.Parallel()
	upstream := guarded(t)
	code, steps := check(t, values(upstream), upstream.DockerConfig(t))
	var names []string
	for _, one := range steps {
		names = append(names, one.Name)
		if one.Status == "failed" {
			t.Errorf("%+v", one)
		}
	}
	for _, name := range []string{"dns", "tcp", "tls", "ping", "token", "push scope", "upload cancel"} {
		if !slices.Contains(names, name) {
			t.Errorf("no step %q in %q", name, names)
		}
	}
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestCheckNamesTheStep that fails, and what to do about it.
func TestCheckNamesTheStep(t *testing.T) {
	t.Parallel()
	certificates := harness.NewCertificates(t)
	private := harness.Distribution{Program: harness.Tool(t, "registry"), Basic: true, TLS: &certificates}.Start(t)
	tokens := guarded(t)
	untrusted := values(private)
	delete(untrusted, "ca_cert_data")
	elsewhere := map[string]any{"repository": tokens.Host + "/somebody/else"}
	tests := map[string]struct {
		values map[string]any
		config []byte
		step   []string
	}{
		"misspelt key":     {map[string]any{"repositry": "x/y"}, nil, []string{"settings"}},
		"no such host":     {map[string]any{"repository": "registry.invalid/team/source"}, nil, []string{"dns"}},
		"nobody listens":   {map[string]any{"repository": "127.0.0.1:1/team/source"}, nil, []string{"tcp"}},
		"unknown CA":       {untrusted, private.DockerConfig(t), []string{"tls"}},
		"wrong password":   {values(tokens), harness.DockerConfig(t, tokens.Host, harness.Username, "wrong"), []string{"token"}},
		"no right to push": {elsewhere, tokens.DockerConfig(t), []string{"push scope", "token"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, steps := check(t, tc.values, tc.config)
			last := steps[len(steps)-1]
			// What is wrong in the settings says itself what to do.
			advised := last.Remedy != "" || last.Name == "settings" && strings.Contains(last.Detail, "did you mean repository")
			if last.Status != "failed" || !slices.Contains(tc.step, last.Name) || last.Detail == "" || !advised {
				t.Errorf("the last step is %+v, want a failed one of %q with a remedy", last, tc.step)
			}
			if code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
		})
	}
}
