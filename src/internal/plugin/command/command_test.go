// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/local-source-proxy/local-source-proxy/src/internal/diagnosis"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/doctor"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/lsptest"
)

// world is a cluster, a kubeconfig for it and a source tree.
type world struct {
	*testing.T
	registry *lsptest.Registry
	cluster  *lsptest.Cluster
	api      *lsptest.API
	tree     string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, registry: lsptest.NewRegistry(), api: &lsptest.API{}, tree: t.TempDir()}
	w.cluster = lsptest.NewCluster(t, w.registry)
	w.cluster.API = w.api
	w.cluster.Server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Setenv("KUBECONFIG", w.cluster.Kubeconfig(t))
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	w.write("main.go", "package main\n")
	return w
}

func (w *world) write(name, content string) {
	w.Helper()
	if err := os.WriteFile(filepath.Join(w.tree, name), []byte(content), 0o600); err != nil {
		w.Fatal(err)
	}
}

// outcome of one command.
type outcome struct {
	code     int
	out, err string
}

func (w *world) run(args ...string) outcome { return w.answer("", args...) }

func (w *world) answer(input string, args ...string) outcome {
	w.Helper()
	var out, errOut bytes.Buffer
	code := Run(w.Context(), args, strings.NewReader(input), &out, &errOut)
	return outcome{code, out.String(), errOut.String()}
}

// want checks the exit code, all of standard output as a pattern, and that standard error has a part.
func (o outcome) want(t *testing.T, code int, out, errPart string) {
	t.Helper()
	if o.code != code || !regexp.MustCompile("^(?s:"+out+")$").MatchString(o.out) || !strings.Contains(o.err, errPart) {
		t.Errorf("exit code %d, want %d\nstdout: %s(want %s)\nstderr: %s(want %s)", o.code, code, o.out, out, o.err, errPart)
	}
}

const reference = `registry\.example\.com/team/source:dev-web@sha256:[0-9a-f]{64}`

func TestPush(t *testing.T) {
	w := newWorld(t)
	first := w.run("push", "--name", "web", "--local-path", w.tree)
	first.want(t, 0, reference+"\n", "Packed 1 file, 13 B.\nPushed: ")
	w.run("push", "--name", "web", "--local-path", w.tree).want(t, 0, regexp.QuoteMeta(first.out), "Unchanged: dev-web names this source already, nothing was uploaded.")
	w.write("main.go", "package changed\n")
	changed := w.run("push", "--name", "web", "--local-path", w.tree)
	changed.want(t, 0, reference+"\n", "uploaded")
	if changed.out == first.out {
		t.Error("changed source has the old digest")
	}
	quiet := w.run("push", "--name", "web", "--local-path", w.tree, "--quiet", "-n", "other", "-o", "json")
	var got pushed
	if err := json.Unmarshal([]byte(quiet.out), &got); err != nil || quiet.err != "" || quiet.code != 0 {
		t.Fatalf("%v: %+v", err, quiet)
	}
	if got.Tag != "other-web" || got.Repository != lsptest.RegistryPath || got.Files != 1 || got.Reference != got.Repository+":other-web@"+got.Digest {
		t.Errorf("result %+v", got)
	}
	if w.registry.Manifest("other-web") == nil {
		t.Error("the other namespace's tag is not there")
	}
}

// Links, and what the Apps CLI would push otherwise.
func TestPushChoosesFiles(t *testing.T) {
	w := newWorld(t)
	w.write(".tanzuignore", "*.log\n")
	w.write("a.log", "x")
	w.run("push", "--name", "web", "--local-path", w.tree).
		want(t, 0, reference+"\n", "Packed 2 files, 19 B.\nThe Apps CLI would push a.log: a line of .tanzuignore is a literal path from the root to it.\n")
	if quiet := w.run("push", "--name", "web", "--local-path", w.tree, "-q"); quiet.err != "" {
		t.Errorf("--quiet says %q", quiet.err)
	}
	if err := os.Symlink("main.go", filepath.Join(w.tree, "link.go")); err != nil {
		t.Fatal(err)
	}
	w.run("push", "--name", "web", "--local-path", w.tree).want(t, 1, "", "link link.go -> main.go: it is a symbolic link")
	w.run("push", "--name", "web", "--local-path", w.tree, "--follow-symlinks").want(t, 0, reference+"\n", "Packed 3 files, 32 B.\n")
	w.run("workload", "apply", "web", "--local-path", w.tree, "--yes").want(t, 1, "", "link link.go -> main.go: it is a symbolic link")
	w.run("workload", "apply", "web", "--local-path", w.tree, "--yes", "--follow-symlinks").want(t, 0, "workload.carto.run/web\n", "Packed 3 files")
	w.run("push", "web").want(t, 2, "", "push takes no argument; did you mean --name web?")
}

func TestPushDirect(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewServer(w.registry)
	defer server.Close()
	t.Setenv("KUBECONFIG", "/nonexistent")
	out := w.run("push", "--name", "web", "--local-path", w.tree, "--server", server.URL, "-o", "yaml")
	var got pushed
	if err := yaml.Unmarshal([]byte(out.out), &got); err != nil || out.code != 0 || got.Tag != "default-web" {
		t.Errorf("%v: %+v", err, out)
	}
	w.run("health", "--server", server.URL).want(t, 0, ".*overall_health: true\n.*", "")
	w.run("doctor", "--server", server.URL).want(t, 0, "ok       proxy .*ok       push scope .*", "")
}

func TestProgressLines(t *testing.T) {
	w := newWorld(t)
	content := make([]byte, 3<<20)
	for i, state := 0, uint32(1); i < len(content); i++ { // does not compress
		state = state*1664525 + 1013904223
		content[i] = byte(state >> 24)
	}
	w.write("big", string(content))
	out := w.run("push", "--name", "web", "--local-path", w.tree)
	out.want(t, 0, reference+"\n", "uploaded 3.0 MiB of 3.0 MiB\n")
	if n := strings.Count(out.err, "uploaded"); n < 5 || n > 12 {
		t.Errorf("%d lines of progress:\n%s", n, out.err)
	}
}

// TestMistakes holds that bad input gets one clear line and the right exit code.
func TestMistakes(t *testing.T) {
	w := newWorld(t)
	empty := t.TempDir()
	broken := filepath.Join(empty, "kubeconfig")
	if err := os.WriteFile(broken, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no such path", []string{"push", "--name", "a", "--local-path", "/no/such"}, 1, "source /no/such: no such file or directory"},
		{"empty tree", []string{"push", "--name", "a", "--local-path", t.TempDir()}, 1, "no files to push"},
		{"wrong context", []string{"push", "--name", "a", "--context", "nowhere", "--local-path", w.tree}, 1, "context was not found for specified context: nowhere"},
		{"no valid tag", []string{"push", "--name", "a/b", "--local-path", w.tree}, 1, `"dev-a/b" is no valid tag`},
		{"too long for a tag", []string{"push", "--name", strings.Repeat("a", 128), "--local-path", w.tree}, 1, "at most 128 letters"},
		{"no RBAC", []string{"push", "--name", "a", "--context", "stranger", "--local-path", w.tree}, 1, "list you or a group of yours in rbac_subjects_for_proxy_access, or to install the package"},
		{"not logged in", []string{"push", "--name", "a", "--context", "expired", "--local-path", w.tree}, 1, "log in again"},
		{"no kubeconfig there", []string{"push", "--name", "a", "--kubeconfig", "/no/such", "--local-path", w.tree}, 1, "/no/such"},
		{"broken kubeconfig", []string{"push", "--name", "a", "--kubeconfig", broken, "--local-path", w.tree}, 1, "read the kubeconfig"},
		{"no such exclude file", []string{"push", "--name", "a", "--exclude-file", "none", "--local-path", w.tree}, 1, "exclude file none: no such file"},
		{"no name", []string{"push"}, 2, "--name is missing; see 'kubectl lsp push --help'"},
		{"unknown flag", []string{"push", "--nme", "a"}, 2, "unknown flag: --nme"},
		{"unknown command", []string{"psuh"}, 2, `unknown command "psuh"`},
		{"unknown command below another", []string{"workload", "aply"}, 2, `unknown command "aply": did you mean apply?; see 'kubectl lsp workload --help'`},
		{"help of nothing", []string{"help", "nope"}, 2, `unknown command "nope"`},
		{"help of nothing below a command", []string{"help", "license", "lst"}, 2, `unknown command "lst": did you mean list?`},
		{"no namespace's name", []string{"push", "--name", "a", "-n", "Bad_NS", "--local-path", w.tree}, 2, `--namespace "Bad_NS" cannot be a namespace`},
		{"no namespace's name for a license", []string{"license", "list", "-n", "Bad_NS"}, 2, `--namespace "Bad_NS" cannot be a namespace`},
		{"empty path", []string{"push", "--name", "a", "--local-path", ""}, 2, "--local-path is empty"},
		{"unknown format", []string{"health", "-o", "xml"}, 2, `--output "xml": choose one of yaml, json`},
		{"not a server", []string{"health", "--server", "localhost:5002"}, 2, "not an address such as http://localhost:5002"},
		{"no such CA", []string{"health", "--server", "https://localhost", "--certificate-authority", "/no/ca"}, 1, "read certificates"},
		{"two sources", []string{"workload", "apply", "a", "--local-path", ".", "--image", "b"}, 2, "name one source only"},
		{"no workload name", []string{"workload", "apply"}, 2, "NAME is missing"},
		{"not a change", []string{"workload", "apply", "a", "--env", "x"}, 2, `--env "x": write name=value`},
		{"no port", []string{"registry", "--port", "70000"}, 2, "--port 70000"},
		{"bad image", []string{"workload", "apply", "a", "--local-path", w.tree, "--source-image", "A B"}, 1, `image "A B": not a valid image name`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := w.run(tt.args...)
			out.want(t, tt.code, "", tt.want)
			if lines := strings.Count(strings.TrimPrefix(out.err, "Packed 1 file, 13 B.\n"), "\n"); lines != 1 {
				t.Errorf("%d lines:\n%s", lines, out.err)
			}
		})
	}
}

func TestClusterWithoutProxy(t *testing.T) {
	w := newWorld(t)
	w.cluster.Set(lsptest.Absent)
	w.run("push", "--name", "web", "--local-path", w.tree).want(t, 1, "", `not installed in this cluster: services "local-source-proxy" not found; check --context`)
	w.run("health").want(t, 1, ".*overall_health: false\nreachable: false\n.*", "")
	w.run("doctor").want(t, 1, "ok       kubeconfig .*failed   service .*-> ask the operator to install.*skipped  pod.*", "")
	w.run("registry", "--port", "0").want(t, 1, "", "not installed in this cluster")
}

func TestHealthOutput(t *testing.T) {
	w := newWorld(t)
	out := w.run("health", "-o", "json")
	var got doctor.Health
	if err := json.Unmarshal([]byte(out.out), &got); err != nil {
		t.Fatal(err)
	}
	want := doctor.Health{UserHasPermission: true, Reachable: true, UpstreamAuthenticated: true, OverallHealth: true, Message: "All health checks passed", Via: "service", Target: lsptest.RegistryPath}
	if diff := cmp.Diff(want, got); diff != "" || out.code != 0 || out.err != "" {
		t.Errorf("%+v\n%s", out, diff)
	}
	var steps []diagnosis.Step
	out = w.run("doctor", "-o", "yaml")
	if err := yaml.Unmarshal([]byte(out.out), &steps); err != nil || len(steps) != 8 || out.code != 0 {
		t.Errorf("%v: %+v", err, out)
	}
	if !strings.Contains(steps[0].Detail, `context "developer"`) {
		t.Errorf("first step %+v", steps[0])
	}
}

func TestHelpAndCompletion(t *testing.T) {
	w := newWorld(t)
	w.api.Store("dev", "web", map[string]any{"apiVersion": "carto.run/v1alpha1", "kind": "Workload"})
	w.run().want(t, 0, ".*kubectl lsp \\[command\\].*", "")
	w.run("push", "--help").want(t, 0, ".*kubectl lsp push --name NAME.*", "")
	w.run("--version").want(t, 0, "kubectl lsp version .*", "")
	w.run("completion", "bash").want(t, 0, ".*__start_kubectl-lsp.*", "")
	for partial, want := range map[string]string{
		"push --output ":   "name\njson\nyaml\n",
		"workload apply ":  "web\n",
		"push --name ":     "web\n",
		"push --context ":  "developer\nexpired\nstranger\n",
		"doc":              "doctor\t",
		"push --namespace": "--namespace",
		"push --via ":      "auto\napi\nservice\n",
	} {
		words := strings.Split(partial, " ")
		out := w.run(append([]string{"__complete"}, words...)...)
		if !strings.HasPrefix(out.out, want) {
			t.Errorf("completion of %q:\n%s(want %q first)", partial, out.out, want)
		}
	}
}

func TestRegistryPortTaken(t *testing.T) {
	w := newWorld(t)
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	port := other.URL[strings.LastIndex(other.URL, ":")+1:]
	w.run("registry", "--port", port).want(t, 1, "", "port "+port+" is taken; choose another with --port")
}

// TestNoKubeconfig: client-go would go to localhost:8080.
func TestNoKubeconfig(t *testing.T) {
	w := newWorld(t)
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	const line = "there is no kubeconfig: name one with --kubeconfig or KUBECONFIG"
	for _, tt := range []struct{ command, out, want string }{
		{"push --name web --local-path " + w.tree, "", ", or a proxy's address with --server"},
		{"health", "", ", or a proxy's address with --server"},
		{"registry --port 0", "", ", or a proxy's address with --server"},
		{"workload apply web --yes --local-path " + w.tree, "", ""},
		{"license list", "", ", or a directory of licenses with --dir"},
		{"license create --app shop --customer Acme", "", ", or a directory of licenses with --dir"},
		{"license pulls acme", "", ", or the server's log with --log"},
	} {
		out := w.run(strings.Fields(tt.command)...)
		out.want(t, 1, "", line+tt.want+"\n")
		if strings.Count(out.err, "\n") != 1 {
			t.Errorf("%s: more than one line:\n%s", tt.command, out.err)
		}
	}
	w.run("doctor").want(t, 1, "failed   kubeconfig      "+line+", or a proxy's address with --server\n.*", "")
}
