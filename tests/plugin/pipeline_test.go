// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

const (
	jobsToken    = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJyZXBvOmFjbWUvd2ViIn0.c2lnbmF0dXJl"
	requestToken = "token-that-asks-for-tokens"
	audience     = "https://cluster.example/a b&c"
)

// pipeline is a CI job's machine, a cluster that knows the job by a token, and whoever makes that token.
type pipeline struct {
	*place
	cluster *httptest.Server
	issuer  *httptest.Server
	// shown counts the requests with the job's token.
	shown atomic.Int64
	temp  string
}

func newPipeline(t *testing.T) *pipeline {
	t.Helper()
	p := &pipeline{place: newPlace(t), temp: t.TempDir()}
	behind, err := url.Parse(p.api.URL)
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(behind)
	p.cluster = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+jobsToken {
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		p.shown.Add(1)
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(p.cluster.Close)
	p.issuer = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		if r.Header.Get("Authorization") != "bearer "+requestToken || query.Get("audience") != audience || query.Get("api-version") != "2.0" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"count": 1, "value": jobsToken})
	}))
	t.Cleanup(p.issuer.Close)
	fill(t, p.tree)
	return p
}

// ca are the cluster's certificates in PEM.
func (p *pipeline) ca() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.cluster.Certificate().Raw}))
}

// installer writes an install.sh in place of the real one, which has tests of its own. It installs a script
// that notes its command line and the mode of the kubeconfig, and goes on as the plugin.
func (p *pipeline) installer(t *testing.T, dir, meanwhile string) (file string) {
	t.Helper()
	program := `#!/usr/bin/env bash
echo "$@" >` + p.temp + `/arguments
stat -c %a "$3" >` + p.temp + `/mode
echo "$3" >` + p.temp + `/kubeconfig
` + meanwhile + `
exec ` + plugin() + ` "$@"
`
	install := `#!/bin/sh
set -eu
[ "$1" = --to ]
mkdir -p "$2"
cat >"$2/kubectl-lsp" <<'PROGRAM'
` + program + `PROGRAM
chmod +x "$2/kubectl-lsp"
`
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(dir, "install.sh")
	if err := os.WriteFile(file, []byte(install), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

// noted is what the script that [pipeline.installer] installs has noted.
func (p *pipeline) noted(t *testing.T, what string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.temp, what))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// shell runs a job's script as runners do.
func (p *pipeline) shell(t *testing.T, script string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script)
	for _, variable := range p.env {
		if !strings.HasPrefix(variable, "KUBECONFIG=") {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Env = append(cmd.Env, env...)
	cmd.Dir = p.tree
	return cmd
}

// githubJob are the two steps of the action, for some inputs.
type githubJob struct {
	*pipeline
	steps []struct {
		ID, Run, Uses string
		Env           map[string]string
	}
	inputs map[string]string
	env    []string
	dir    string
}

func newGitHubJob(t *testing.T, meanwhile string) *githubJob {
	t.Helper()
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	j := &githubJob{pipeline: newPipeline(t), dir: t.TempDir()}
	releases := t.TempDir()
	installer, err := os.ReadFile(j.installer(t, filepath.Join(releases, "v0.3.0"), meanwhile))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(releases)))
	t.Cleanup(server.Close)
	sum := sha256.Sum256(installer)
	action := filepath.Join(j.dir, ".github/actions/push")
	if err := os.CopyFS(action, os.DirFS(filepath.Join(root, ".github/actions/push"))); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(action, "action.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		Inputs map[string]struct{ Default string }
		Runs   struct{ Steps json.RawMessage }
	}
	if err := errors.Join(yaml.Unmarshal(text, &parsed), json.Unmarshal(parsed.Runs.Steps, &j.steps)); err != nil {
		t.Fatal(err)
	}
	j.inputs = map[string]string{}
	for name, input := range parsed.Inputs {
		j.inputs[name] = input.Default
	}
	for name, value := range map[string]string{
		"version": "0.3.0", "installer-sha256": hex.EncodeToString(sum[:]), "releases": server.URL, "server": j.cluster.URL, "ca-cert": j.ca(), "name": "web", "path": j.tree, "audience": audience,
		"namespace": "dev",
	} {
		if _, known := j.inputs[name]; !known {
			t.Fatalf("the action has no input %s", name)
		}
		j.inputs[name] = value
	}
	j.env = []string{
		"GITHUB_ACTIONS=true", "GITHUB_ACTION_PATH=" + action, "RUNNER_TEMP=" + j.temp,
		"GITHUB_OUTPUT=" + filepath.Join(j.temp, "output"), "GITHUB_PATH=" + filepath.Join(j.temp, "path"),
		"ACTIONS_ID_TOKEN_REQUEST_URL=" + j.issuer.URL + "/token?api-version=2.0",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + requestToken,
	}
	return j
}

// command is a step of the action. An input reaches a script in a variable alone: in the text of one, it would
// be run.
func (j *githubJob) command(t *testing.T, i int) *exec.Cmd {
	t.Helper()
	step := j.steps[i]
	if step.Uses != "" || strings.Contains(step.Run, "${{") {
		t.Fatalf("a step is no script, or has an input in its text: %+v", step)
	}
	env := j.env
	for name, value := range step.Env {
		env = append(env, name+"="+regexp.MustCompile(`\$\{\{ inputs\.([a-z0-9-]+) }}`).ReplaceAllStringFunc(value, func(match string) string {
			return j.inputs[strings.TrimSuffix(strings.TrimPrefix(match, "${{ inputs."), " }}")]
		}))
	}
	if added, err := os.ReadFile(filepath.Join(j.temp, "path")); err == nil {
		env = append(env, "PATH="+strings.TrimSpace(string(added))+":"+os.Getenv("PATH"))
	}
	return j.shell(t, step.Run, env...)
}

// run runs the steps, and returns what the job's log has.
func (j *githubJob) run(t *testing.T) (log string, err error) {
	t.Helper()
	for i := range j.steps {
		out, err := j.command(t, i).CombinedOutput()
		if log += string(out); err != nil {
			return log, err
		}
	}
	return log, nil
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}
