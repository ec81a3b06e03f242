// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// checkInstaller installs from a directory, and refuses what was changed.
func (r *release) checkInstaller(t *testing.T) {
	install := func(files string, args ...string) (result, string) {
		to := filepath.Join(t.TempDir(), "bin")
		return run(t, command{args: append([]string{"sh", filepath.Join(r.files, "install.sh"), "--from", files, "--to", to}, args...)}), to
	}
	got, to := install(r.files, "--program", "all")
	if got.err != nil {
		t.Fatalf("install.sh: %v\n%s%s", got.err, got.stdout, got.stderr)
	}
	for program, args := range map[string][]string{"kubectl-lsp": {"--version"}, "local-source-proxy": {"version"}} {
		if said := mustRun(t, command{args: append([]string{filepath.Join(to, program)}, args...)}); !strings.Contains(said, version) {
			t.Errorf("%s says %s", program, said)
		}
	}
	platform := "linux-" + hostArchitecture(t)
	for _, file := range []string{"checksums.txt", "kubectl-lsp-" + platform + ".tar.gz", "local-source-proxy-" + platform + ".tar.gz"} {
		files := r.copied(t)
		spoil(t, filepath.Join(files, file))
		got, to := install(files, "--program", "all")
		if got.err == nil || !strings.Contains(got.stderr, file+" is not the release's") {
			t.Errorf("%s was changed: %v\n%s%s", file, got.err, got.stdout, got.stderr)
		}
		if entries, err := os.ReadDir(to); err == nil && len(entries) > 0 {
			t.Errorf("%s was changed, and %v installed", file, entries)
		}
	}
	for _, wrong := range []struct {
		args []string
		want string
	}{
		{[]string{"--program", "docker"}, "--program docker: kubectl-lsp, local-source-proxy or all"},
		{[]string{"--to"}, "--to needs a value"},
		{[]string{"--force"}, "--force is not known"},
		{[]string{"--from", "/nowhere"}, "/nowhere/checksums.txt cannot be read"},
	} {
		if got, _ := install(r.files, wrong.args...); got.err == nil || !strings.Contains(got.stderr, wrong.want) {
			t.Errorf("%v: %v\n%s", wrong.args, got.err, got.stderr)
		}
	}
	source := run(t, command{args: []string{"sh", filepath.Join(root(t), "scripts/release/install.sh")}})
	if source.err == nil || !strings.Contains(source.stderr, "take install.sh from a release") {
		t.Errorf("the source of the installer: %v\n%s", source.err, source.stderr)
	}
}

// checkFreshMachine has a Debian with nothing but curl install both programs from a web server, and run them.
func (r *release) checkFreshMachine(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a fresh Debian")
	}
	if got := run(t, command{args: []string{filepath.Join(root(t), "scripts/debian.sh"), "debootstrap"}}); got.err != nil {
		t.Skipf("no debootstrap: %s", got.stderr)
	}
	machine := filepath.Join(t.TempDir(), "machine")
	mustRun(t, command{args: append([]string{"debootstrap", "--variant=minbase", "--include=curl", "bookworm", machine}, debianMirror(t)...)})
	server := httptest.NewServer(http.FileServer(http.Dir(r.files)))
	t.Cleanup(server.Close)
	inside := func(script string) result {
		return run(t, command{env: []string{"HOME=/root", "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}, args: []string{"chroot", machine, "/bin/sh", "-euc", script}})
	}
	got := inside("cd /root; curl -fsS -o install.sh " + server.URL + "/install.sh; sh install.sh --program all --from " + server.URL +
		"; kubectl-lsp --version; local-source-proxy version; kubectl-lsp push --help | head -n 1")
	if got.err != nil || strings.Count(got.stdout, version) < 4 {
		t.Errorf("install.sh on a fresh machine: %v\n%s%s", got.err, got.stdout, got.stderr)
	}
	got = inside("curl -fsS -o /root/lsp.deb " + server.URL + "/kubectl-lsp-linux-" + hostArchitecture(t) + ".deb; dpkg -i /root/lsp.deb; /usr/bin/kubectl-lsp --version; zcat /usr/share/man/man1/kubectl-lsp-push.1.gz | head -n 3; dpkg -r kubectl-lsp; ! test -e /usr/bin/kubectl-lsp")
	if got.err != nil || !strings.Contains(got.stdout, "kubectl lsp version "+version) || !strings.Contains(got.stdout, ".TH") {
		t.Errorf("the Debian package: %v\n%s%s", got.err, got.stdout, got.stderr)
	}
}

// checkDocker starts Docker's engine, which shares nothing with the system's, and runs the image as the README says.
func checkDocker(t *testing.T, image, login string) {
	if os.Geteuid() != 0 {
		t.Skip("dockerd runs as root only")
	}
	if got := run(t, command{args: []string{filepath.Join(root(t), "scripts/debian.sh"), "docker.io"}}); got.err != nil {
		t.Skipf("no docker: %s", got.stderr)
	}
	// Its path is part of the paths of sockets, which are short.
	dir, err := os.MkdirTemp("", "lsp-docker-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	engine := exec.Command("dockerd", "--storage-driver=vfs", "--iptables=false", "--ip6tables=false", "--bridge=none", "--log-level=warn",
		"--host=unix://"+dir+"/d.sock", "--data-root="+dir+"/data", "--exec-root="+dir+"/exec", "--pidfile="+dir+"/pid")
	if err := engine.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = engine.Process.Signal(syscall.SIGTERM) // its own children end with it
		_ = engine.Wait()
	})
	docker := func(args ...string) result {
		return run(t, command{env: []string{login}, args: append([]string{"docker", "--host=unix://" + dir + "/d.sock"}, args...)})
	}
	eventually(t, "dockerd answers", func() error { return docker("version").err })
	got := docker("run", "--rm", "--network=host", image, "version")
	if got.err != nil || !strings.Contains(got.stdout, version) {
		t.Fatalf("docker run … version: %v\n%s%s", got.err, got.stdout, got.stderr)
	}
	started := docker("run", "--detach", "--network=host", "--read-only", "--tmpfs=/tmp", image, "serve",
		"--listen-address=127.0.0.1:0", "--admin-address=127.0.0.1:0", "--embedded-registry")
	if started.err != nil {
		t.Fatal(started.stderr)
	}
	id := strings.TrimSpace(started.stdout)
	t.Cleanup(func() { docker("rm", "--force", id) })
	eventually(t, "it serves", func() error {
		said := docker("logs", id)
		if strings.Contains(said.stderr+said.stdout, `"msg":"serving","door":"source"`) {
			return nil
		}
		return errors.New(said.stdout + said.stderr)
	})
}

// eventually polls for a minute.
func eventually(t *testing.T, what string, done func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		err := done()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// checkRPM reads the RPM package, which no Debian installs.
func (r *release) checkRPM(t *testing.T) {
	if got := run(t, command{args: []string{filepath.Join(root(t), "scripts/debian.sh"), "rpm"}}); got.err != nil {
		t.Skipf("no rpm: %s", got.stderr)
	}
	file := filepath.Join(r.files, "kubectl-lsp-linux-"+hostArchitecture(t)+".rpm")
	said := mustRun(t, command{args: []string{"rpm", "--query", "--package", "--queryformat", "%{NAME} %{VERSION} %{LICENSE}\n", "--list", file}})
	for _, want := range []string{"kubectl-lsp " + version + " Apache-2.0\n", "/usr/bin/kubectl-lsp\n", "/usr/share/man/man1/kubectl-lsp-push.1.gz\n"} {
		if !strings.Contains(said, want) {
			t.Errorf("the RPM package lacks %q:\n%s", want, said)
		}
	}
}

// debianMirror is the one that this machine's apt uses, if it says so.
func debianMirror(t *testing.T) []string {
	t.Helper()
	said := run(t, command{args: []string{"apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"}})
	for line := range strings.Lines(said.stdout) {
		if uri := strings.TrimSpace(line); bytes.Contains([]byte(uri), []byte("debian")) && !strings.Contains(uri, "security") {
			return []string{strings.TrimSuffix(uri, "/")}
		}
	}
	return nil
}
