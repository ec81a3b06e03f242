// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestServesTokensUntilStopped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	passwordFile, cert := filepath.Join(dir, "password"), filepath.Join(dir, "cert.pem")
	if err := os.WriteFile(passwordFile, []byte("correct\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	stdout, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"--user", "operator", "--password-file", passwordFile, "--cert-out", cert}, out, io.Discard)
		_ = out.CloseWithError(err)
		ended <- err
	}()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet,
		strings.TrimSpace(line)+"?service=registry&scope=repository:demo/source:pull,push", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("operator", "correct")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got struct{ Scope string }
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if want := "repository:demo/source:pull,push"; resp.StatusCode != http.StatusOK || got.Scope != want {
		t.Errorf("got %d with scope %q, want 200 with %q", resp.StatusCode, got.Scope, want)
	}
	if pem, err := os.ReadFile(cert); err != nil || !strings.Contains(string(pem), "BEGIN CERTIFICATE") {
		t.Errorf("certificate file: %q, %v", pem, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("after the stop: %v", err)
	}
}

func TestBadCommandLines(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args  []string
		usage bool
		want  string
	}{
		"nothing":          {nil, true, "--user"},
		"unknown flag":     {[]string{"--nonsense"}, true, "nonsense"},
		"stray argument":   {[]string{"stray"}, true, `"stray"`},
		"no password file": {[]string{"--user", "u", "--password-file", "/does/not/exist", "--cert-out", "c"}, false, "/does/not/exist"},
		"malformed right":  {[]string{"--user", "u", "--password-file", os.DevNull, "--cert-out", "c", "--grant", "demo"}, true, "--grant"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := run(t.Context(), tc.args, io.Discard, io.Discard)
			if err == nil || !strings.Contains(err.Error(), tc.want) || errors.Is(err, errUsage) != tc.usage {
				t.Errorf("got %v, want it to name %s, usage error: %t", err, tc.want, tc.usage)
			}
		})
	}
}
