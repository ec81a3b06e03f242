// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// TestActionPushes: by a token of the job's identity, and by one of a service account.
func TestActionPushes(t *testing.T) {
	t.Parallel()
	for name, token := range map[string]string{"identity": "", "service account": jobsToken} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newGitHubJob(t, "")
			j.inputs["token"] = token
			if token != "" {
				j.env = append(j.env, "ACTIONS_ID_TOKEN_REQUEST_URL=", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=")
			}
			log, err := j.run(t)
			if err != nil {
				t.Fatalf("%v\n%s", err, log)
			}
			image := strings.TrimPrefix(j.noted(t, "output"), "image=")
			reference, _ := j.push(t)
			if image != reference || !strings.Contains(log, image) {
				t.Errorf("the output is %q, and the tree is %q\n%s", image, reference, log)
			}
			if j.shown.Load() == 0 {
				t.Error("the cluster saw no token")
			}
			if mode := j.noted(t, "mode"); mode != "600 700" {
				t.Errorf("the kubeconfig and its directory had the modes %s", mode)
			}
			j.leftNothing(t, strings.ReplaceAll(log, "::add-mask::"+jobsToken+"\n", ""))
		})
	}
}

// leftNothing fails the test if the kubeconfig is still there, or if a token is where others read it.
func (p *pipeline) leftNothing(t *testing.T, log string) {
	t.Helper()
	if file := p.noted(t, "kubeconfig"); exists(file) {
		t.Errorf("%s is still there", file)
	}
	for where, text := range map[string]string{"the log": log, "the command line": p.noted(t, "arguments")} {
		if strings.Contains(text, jobsToken) || strings.Contains(text, requestToken) {
			t.Errorf("a token is in %s:\n%s", where, text)
		}
	}
}

// change changes one byte of a file of the release.
func (r release) change(t *testing.T, name string) {
	t.Helper()
	content := r.read(t, name)
	content[len(content)/2] ^= 1
	r.write(t, name, content)
}

// TestActionRefuses: what is wrong has one line, no output, and no file that stays.
func TestActionRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(j *githubJob)
		want   string
	}{
		"plain HTTP":          {func(j *githubJob) { j.inputs["server"] = "http://cluster.example" }, "server is not https"},
		"a server and more":   {func(j *githubJob) { j.inputs["server"] = "https://a.example\"\n    insecure-skip-tls-verify: true" }, "server is not https"},
		"no right to ask":     {func(j *githubJob) { j.env = append(j.env, "ACTIONS_ID_TOKEN_REQUEST_URL=") }, "permissions: {id-token: write}"},
		"no such audience":    {func(j *githubJob) { j.inputs["audience"] = "another" }, "no token for the audience another"},
		"a token and more":    {func(j *githubJob) { j.inputs["token"] = "a\"\n    exec: {command: id}" }, "characters that a token has not"},
		"a token of others":   {func(j *githubJob) { j.inputs["token"] = "of-somebody-else" }, "kubectl lsp: "},
		"another installer":   {func(j *githubJob) { j.inputs["installer-sha256"] = strings.Repeat("0", 64) }, "install.sh of 0.3.0 has the SHA-256 "},
		"a changed installer": {func(j *githubJob) { j.released.change(t, "install.sh") }, "It was not run"},
		"a changed program":   {func(j *githubJob) { j.released.change(t, "kubectl-lsp-"+runtime.GOOS+"-"+runtime.GOARCH+".tar.gz") }, ".tar.gz is not the release's"},
		"changed checksums":   {func(j *githubJob) { j.released.change(t, "checksums.txt") }, "checksums.txt is not the release's"},
		"no such release":     {func(j *githubJob) { j.inputs["version"] = "0.4.0" }, "v0.4.0/install.sh cannot be downloaded"},
		"a version and more":  {func(j *githubJob) { j.inputs["version"] = "0.3.0/../x" }, "version is none"},
		"no name":             {func(j *githubJob) { j.inputs["name"] = "" }, "name is empty"},
		"another certificate": {func(j *githubJob) { j.inputs["ca-cert"] = "" }, "certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newGitHubJob(t, "")
			test.change(j)
			log, err := j.run(t)
			if err == nil || !strings.Contains(log, test.want) {
				t.Errorf("%v, and no %q in\n%s", err, test.want, log)
			}
			if strings.Contains(log, jobsToken+"\n") && !strings.Contains(log, "::add-mask::"+jobsToken) {
				t.Errorf("the token is in the log:\n%s", log)
			}
			if left, _ := filepath.Glob(filepath.Join(j.temp, "tmp.*")); len(left) > 0 {
				t.Errorf("still there: %v", left)
			}
			if exists(filepath.Join(j.temp, "output")) {
				t.Error("a failed push has an output")
			}
		})
	}
}

// TestActionIsCancelled: the kubeconfig goes with the job.
func TestActionIsCancelled(t *testing.T) {
	t.Parallel()
	j := newGitHubJob(t, "read -r nothing <never")
	if err := syscall.Mkfifo(filepath.Join(j.temp, "never"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := j.command(t, 0)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "the push begins", func(context.Context) error {
		if !exists(filepath.Join(j.temp, "kubeconfig")) {
			return errors.New("it has not begun")
		}
		return nil
	})
	file := j.noted(t, "kubeconfig")
	if !exists(file) {
		t.Error("there is no kubeconfig while the push is under way")
	}
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("a cancelled push succeeded")
	}
	if exists(file) {
		t.Errorf("%s is still there", file)
	}
}

// TestGitLabTemplate: the template's script is the action's, and pushes by GitLab's identity of the job. An
// installer with another sum is not run.
func TestGitLabTemplate(t *testing.T) {
	t.Parallel()
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, ".gitlab/push.yml"))
	if err != nil {
		t.Fatal(err)
	}
	push, err := os.ReadFile(filepath.Join(root, ".github/actions/push/push.sh"))
	if err != nil {
		t.Fatal(err)
	}
	_, document, _ := strings.Cut(string(text), "\n---\n")
	var jobs map[string]struct {
		Variables map[string]string
		Tokens    map[string]struct{ Aud string } `json:"id_tokens"`
		Script    []string
	}
	if err := yaml.Unmarshal([]byte(document), &jobs); err != nil || len(jobs) != 1 {
		t.Fatalf("%v, %d jobs", err, len(jobs))
	}
	job := jobs["$[[ inputs.job ]]"]
	if job.Tokens["LSP_ID_TOKEN"].Aud == "" || len(job.Script) != 1 {
		t.Fatalf("the job asks for no identity, or has %d scripts", len(job.Script))
	}
	if !strings.Contains(job.Script[0], "<<'PUSH'\n"+string(push)+"PUSH\n") {
		t.Error(".gitlab/push.yml has another script than .github/actions/push/push.sh")
	}

	p := newPipeline(t)
	released := p.release(t, "")
	inputs := map[string]string{
		"version": "0.3.0", "installer-sha256": released.sum, "server": p.cluster.URL, "ca-cert": p.ca(),
		"name": "web", "path": p.tree, "namespace": "dev", "releases": released.url,
	}
	run := func() (string, error) {
		env := []string{"CI_PROJECT_DIR=" + p.temp, "TMPDIR=" + p.temp, "LSP_ID_TOKEN=" + jobsToken}
		for name, value := range job.Variables {
			input := strings.TrimSuffix(strings.TrimPrefix(value, "$[[ inputs."), " ]]")
			if _, known := inputs[input]; !known {
				t.Errorf("%s is %q, of which the test knows nothing", name, value)
			}
			env = append(env, name+"="+inputs[input])
		}
		out, err := p.shell(t, job.Script[0], env...).CombinedOutput()
		return string(out), err
	}
	log, err := run()
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	if reference, _ := p.push(t); p.noted(t, "lsp.env") != "image="+reference {
		t.Errorf("the dotenv file has %q, and the tree is %q", p.noted(t, "lsp.env"), reference)
	}
	p.leftNothing(t, log)

	inputs["installer-sha256"] = strings.Repeat("0", 64)
	shown := p.shown.Load()
	if log, err := run(); err == nil || !strings.Contains(log, "It was not run") || p.shown.Load() != shown {
		t.Errorf("an installer with another sum: %v\n%s", err, log)
	}
}
