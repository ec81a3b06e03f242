// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
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
	"runtime"
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

// release is a release on loopback, as scripts/release.sh makes one: the real installer, which knows the
// checksums, and an archive. In that is a script that notes its command line and the mode of the kubeconfig,
// does something meanwhile, and goes on as the plugin.
type release struct{ dir, url, sum string }

func (p *pipeline) release(t *testing.T, meanwhile string) release {
	t.Helper()
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	r := release{dir: filepath.Join(t.TempDir(), "v0.3.0")}
	program := "#!/usr/bin/env bash\n" +
		"cd " + p.temp + "\n" +
		"echo \"$@\" >arguments\n" +
		"stat -c %a \"$3\" \"${3%/*}\" | paste -sd' ' >mode\n" +
		"echo \"$3\" >written && mv written kubeconfig\n" + meanwhile + "\n" +
		"exec " + plugin() + " \"$@\"\n"
	archive := "kubectl-lsp-" + runtime.GOOS + "-" + runtime.GOARCH + ".tar.gz"
	r.write(t, archive, targz(t, "kubectl-lsp", program))
	r.write(t, "checksums.txt", []byte(sumOf(r.read(t, archive))+"  "+archive+"\n"))
	source, err := os.ReadFile(filepath.Join(root, "scripts/release/install.sh"))
	if err != nil {
		t.Fatal(err)
	}
	installer := string(source)
	for name, value := range map[string]string{"version": "0.3.0", "checksums": sumOf(r.read(t, "checksums.txt"))} {
		installer = regexp.MustCompile(`(?m)^`+name+`=$`).ReplaceAllString(installer, name+"="+value)
	}
	r.write(t, "install.sh", []byte(installer))
	r.sum = sumOf([]byte(installer))
	server := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(r.dir))))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

func (r release) write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(r.dir, 0o755), os.WriteFile(filepath.Join(r.dir, name), content, 0o600)); err != nil {
		t.Fatal(err)
	}
}

func (r release) read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func sumOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// targz is an archive with one program.
func targz(t *testing.T, name, content string) []byte {
	t.Helper()
	var archive bytes.Buffer
	compressed := gzip.NewWriter(&archive)
	files := tar.NewWriter(compressed)
	err := files.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content))})
	if err == nil {
		_, err = files.Write([]byte(content))
	}
	if err := errors.Join(err, files.Close(), compressed.Close()); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
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

// githubJob are the steps of the action, for some inputs.
type githubJob struct {
	*pipeline
	steps []struct {
		ID, Run, Uses string
		Env           map[string]string
	}
	inputs   map[string]string
	env      []string
	released release
}

func newGitHubJob(t *testing.T, meanwhile string) *githubJob {
	t.Helper()
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	j := &githubJob{pipeline: newPipeline(t)}
	j.released = j.release(t, meanwhile)
	action := filepath.Join(root, ".github/actions/push")
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
		"version": "0.3.0", "server": j.cluster.URL, "ca-cert": j.ca(), "name": "web", "path": j.tree, "audience": audience,
		"namespace": "dev", "releases": j.released.url, "installer-sha256": j.released.sum,
	} {
		if _, known := j.inputs[name]; !known {
			t.Fatalf("the action has no input %s", name)
		}
		j.inputs[name] = value
	}
	j.env = []string{
		"GITHUB_ACTIONS=true", "GITHUB_ACTION_PATH=" + action, "RUNNER_TEMP=" + j.temp,
		"GITHUB_OUTPUT=" + filepath.Join(j.temp, "output"), "TMPDIR=" + j.temp,
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
		env = append(env, name+"="+regexp.MustCompile(`\$\{\{ inputs\.[a-z0-9-]+ }}`).ReplaceAllStringFunc(value, func(match string) string {
			return j.inputs[strings.TrimSuffix(strings.TrimPrefix(match, "${{ inputs."), " }}")]
		}))
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
