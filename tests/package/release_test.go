// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// keys are those of a publisher, made by cosign.
type keys struct{ private, public string }

func newKeys(t *testing.T) keys {
	t.Helper()
	dir := t.TempDir()
	mustRun(t, command{dir: dir, env: []string{"COSIGN_PASSWORD="}, args: []string{tool(t, "cosign"), "generate-key-pair"}})
	return keys{filepath.Join(dir, "cosign.key"), filepath.Join(dir, "cosign.pub")}
}

// release is a version as users find it: in a registry, and as files.
type release struct {
	checkout, registry, files string
	keys                      keys
	env                       []string
}

// newRelease publishes a version, signed, and makes its files for this machine's platform.
func newRelease(t *testing.T, at *registry, login string) *release {
	t.Helper()
	r := &release{checkout: checkout(t), registry: at.host + "/team/lsp", keys: newKeys(t)}
	r.env = []string{login, "COSIGN_PASSWORD=", "VERSION=" + version, "REGISTRY=" + r.registry, "PLATFORMS=linux-" + hostArchitecture(t)}
	mustRun(t, command{dir: r.checkout, env: append(r.env, "COSIGN_KEY="+r.keys.private), args: []string{"make", "--silent", "publish", "release"}})
	r.files = filepath.Join(r.checkout, "dist/release")
	r.files = r.copied(t) // who verifies builds there again
	return r
}

// verify runs make verify-release with a public key for files in a place.
func (r *release) verify(t *testing.T, public, files string, env ...string) result {
	t.Helper()
	env = append(append(slices.Clone(r.env), "COSIGN_PUBLIC_KEY="+public, "RELEASE="+files), env...)
	return run(t, command{dir: r.checkout, env: env, args: []string{"make", "--silent", "verify-release"}})
}

// copied is a copy of the release's files, of which a test may spoil one.
func (r *release) copied(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(r.files)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// spoil changes one byte in the middle of a file.
func spoil(t *testing.T, file string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestRelease is one story in steps: building is what takes the time.
func TestRelease(t *testing.T) {
	if testing.Short() {
		t.Skip("builds both programs; left out by -short")
	}
	at, mirror := startRegistry(t), startRegistry(t)
	login := dockerConfig(t, password, at, mirror)
	r := newRelease(t, at, login)
	crane := func(t *testing.T, args ...string) string {
		t.Helper()
		return mustRun(t, command{args: append([]string{tool(t, "crane")}, args...), env: []string{login}})
	}
	image := digestIn(t, r.checkout, "image")
	bundle := digestIn(t, r.checkout, "local-source-proxy")

	t.Run("it verifies, and is built again byte for byte", func(t *testing.T) {
		got := r.verify(t, r.keys.public, r.copied(t))
		if got.err != nil || strings.Count(got.stdout, "byte for byte") != 2 {
			t.Errorf("verify-release: %v\n%s%s", got.err, got.stdout, got.stderr)
		}
	})
	t.Run("SBOMs list what is in the programs", func(t *testing.T) { r.checkSBOMs(t, image, crane) })
	t.Run("cosign finds what is attached", func(t *testing.T) {
		for _, digest := range []string{image, bundle} {
			tree := mustRun(t, command{env: []string{login}, args: []string{tool(t, "cosign"), "tree", r.registry + "/local-source-proxy@" + digest}})
			if !strings.Contains(tree, ".sig") || !strings.Contains(tree, ".att") {
				t.Errorf("cosign tree %s:\n%s", digest, tree)
			}
		}
	})
	t.Run("signatures survive relocation", func(t *testing.T) {
		to := mirror.host + "/mirror/lsp"
		mustRun(t, command{env: []string{login}, args: []string{
			tool(t, "imgpkg"), "copy", "-b", r.registry + "/package-repository:" + version, "--to-repo", to, "--cosign-signatures",
		}})
		repository := strings.TrimSpace(crane(t, "digest", r.registry+"/package-repository:"+version))
		for _, digest := range []string{image, bundle, repository} {
			got := run(t, command{env: []string{login}, args: []string{
				tool(t, "cosign"), "verify", "--key", r.keys.public, "--private-infrastructure", to + "@" + digest,
			}})
			if got.err != nil {
				t.Errorf("%s in the mirror: %v\n%s", digest, got.err, got.stderr)
			}
		}
		dir := t.TempDir()
		mustRun(t, command{env: []string{login}, args: []string{tool(t, "imgpkg"), "pull", "-b", to + "@" + bundle, "-o", dir}})
		if found, _ := filepath.Glob(filepath.Join(dir, "sbom/*.cdx.json")); len(found) != 2 {
			t.Errorf("the bundle in the mirror has the SBOMs %v", found)
		}
	})
	t.Run("what is documented is there", func(t *testing.T) { r.checkDocumented(t) })
	t.Run("a changed byte is refused with the file's name", func(t *testing.T) { r.checkSpoilt(t) })
	t.Run("the installer", func(t *testing.T) { r.checkInstaller(t) })
	t.Run("on a fresh machine", func(t *testing.T) { r.checkFreshMachine(t) })
	t.Run("docker runs the image", func(t *testing.T) { checkDocker(t, r.registry+"/local-source-proxy:image-"+version, login) })
	t.Run("another's signature is none", func(t *testing.T) {
		got := r.verify(t, newKeys(t).public, r.files, "REBUILD=no")
		if got.err == nil || !strings.Contains(got.stderr, "is not signed as it should be") {
			t.Errorf("verify-release: %v\n%s%s", got.err, got.stdout, got.stderr)
		}
	})
	t.Run("a tag that was moved is refused", func(t *testing.T) {
		crane(t, "tag", r.registry+"/ootb-profiles@"+digestIn(t, r.checkout, "ootb-profiles"), "before")
		crane(t, "append", "--oci-empty-base", "-f", archiveOf(t), "-t", r.registry+"/ootb-profiles:"+version)
		got := r.verify(t, r.keys.public, r.files, "REBUILD=no")
		if got.err == nil || !strings.Contains(got.stderr, "/ootb-profiles@sha256:") || !strings.Contains(got.stderr, "is not signed as it should be") {
			t.Errorf("verify-release: %v\n%s%s", got.err, got.stdout, got.stderr)
		}
		crane(t, "copy", r.registry+"/ootb-profiles:before", r.registry+"/ootb-profiles:"+version)
	})
	t.Run("from another commit", func(t *testing.T) {
		mustRun(t, command{dir: r.checkout, args: []string{"git", "-c", "user.name=x", "-c", "user.email=x@x.example", "commit", "-q", "--allow-empty", "-m", "x"}})
		got := r.verify(t, r.keys.public, r.files, "REBUILD=no")
		if got.err == nil || !strings.Contains(got.stderr, "was not built from this commit") {
			t.Errorf("verify-release: %v\n%s%s", got.err, got.stdout, got.stderr)
		}
	})
}

// digestIn is a digest that the publisher noted.
func digestIn(t *testing.T, checkout, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(checkout, "dist/digests.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		if found, digest, _ := strings.Cut(strings.TrimSpace(line), " "); found == name {
			return digest
		}
	}
	t.Fatalf("no digest of %s in\n%s", name, content)
	return ""
}

// archiveOf is some layer.
func archiveOf(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "another content")
	mustRun(t, command{args: []string{"tar", "-C", dir, "-cf", filepath.Join(dir, "layer.tar"), "file"}})
	return filepath.Join(dir, "layer.tar")
}

// modulesOf are the modules in a program, as Go says it, with the standard library's version.
func modulesOf(t *testing.T, program string) []string {
	t.Helper()
	var found []string
	said := mustRun(t, command{args: []string{"go", "version", "-m", program}})
	first, _, _ := strings.Cut(said, "\n")
	_, release, _ := strings.Cut(first, ": ")
	found = append(found, "std@"+strings.TrimSpace(release))
	for line := range strings.Lines(said) {
		if fields := strings.Fields(line); len(fields) >= 3 && fields[0] == "dep" {
			found = append(found, fields[1]+"@"+fields[2])
		}
	}
	slices.Sort(found)
	return found
}

// componentsOf are those of an SBOM.
func componentsOf(t *testing.T, sbom []byte) []string {
	t.Helper()
	var document struct {
		BOMFormat  string
		Components []struct{ Name, Version string }
	}
	if err := json.Unmarshal(sbom, &document); err != nil || document.BOMFormat != "CycloneDX" {
		t.Fatalf("an SBOM of format %q: %v", document.BOMFormat, err)
	}
	var found []string
	for _, component := range document.Components {
		found = append(found, component.Name+"@"+component.Version)
	}
	slices.Sort(found)
	return found
}

// checkSBOMs compares the SBOM of each program with what Go says is in it: of those in the archives and of the
// image's, for both of which the bundle has one.
func (r *release) checkSBOMs(t *testing.T, image string, crane func(*testing.T, ...string) string) {
	compare := func(t *testing.T, program, sbom string) {
		t.Helper()
		content, err := os.ReadFile(sbom)
		if err != nil {
			t.Fatal(err)
		}
		want := modulesOf(t, program)
		if len(want) < 50 {
			t.Fatalf("Go names only %v", want)
		}
		if diff := cmp.Diff(want, componentsOf(t, content)); diff != "" {
			t.Errorf("%s (-go version -m +SBOM):\n%s", filepath.Base(sbom), diff)
		}
	}
	for _, program := range []string{"kubectl-lsp", "local-source-proxy"} {
		name := filepath.Join(r.files, program+"-linux-"+hostArchitecture(t))
		dir := t.TempDir()
		mustRun(t, command{args: []string{"tar", "-C", dir, "-xzf", name + ".tar.gz"}})
		compare(t, filepath.Join(dir, program), name+".cdx.json")
	}
	for _, architecture := range []string{"amd64", "arm64"} {
		dir := t.TempDir()
		archive := filepath.Join(dir, "image.tar")
		crane(t, "export", "--platform", "linux/"+architecture, r.registry+"/local-source-proxy@"+image, archive)
		mustRun(t, command{args: []string{"tar", "-C", dir, "-xf", archive}})
		compare(t, filepath.Join(dir, "ko-app/local-source-proxy"), filepath.Join(r.checkout, "dist/sbom/local-source-proxy-linux-"+architecture+".cdx.json"))
	}
}

// checkDocumented compares the files with the table of scripts/README.md.
func (r *release) checkDocumented(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(root(t), "scripts/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(content), "\n## A release\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var documented []string
	for line := range strings.Lines(section) {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			for _, match := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[1], -1) {
				name := strings.ReplaceAll(match[1], "PLATFORM", "linux-"+hostArchitecture(t))
				documented = append(documented, strings.ReplaceAll(name, "ARCH", hostArchitecture(t)))
			}
		}
	}
	entries, err := os.ReadDir(r.files)
	if err != nil {
		t.Fatal(err)
	}
	var there []string
	for _, entry := range entries {
		there = append(there, entry.Name())
	}
	slices.Sort(documented)
	if diff := cmp.Diff(documented, there); diff != "" {
		t.Errorf("files of the release (-documented +there):\n%s", diff)
	}
}

// checkSpoilt changes a byte of each file, one after another.
func (r *release) checkSpoilt(t *testing.T) {
	entries, err := os.ReadDir(r.files)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		t.Run(entry.Name(), func(t *testing.T) {
			t.Parallel()
			files := r.copied(t)
			spoil(t, filepath.Join(files, entry.Name()))
			got := r.verify(t, r.keys.public, files, "REBUILD=no")
			if name := strings.TrimSuffix(entry.Name(), ".bundle"); got.err == nil || !strings.Contains(got.stderr, name) {
				t.Errorf("verify-release: %v\n%s%s", got.err, got.stdout, got.stderr)
			}
		})
	}
}

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
	got = inside("curl -fsS -o /root/lsp.deb " + server.URL + "/kubectl-lsp-linux-" + hostArchitecture(t) + ".deb; dpkg -i /root/lsp.deb; /usr/bin/kubectl-lsp --version; zcat /usr/share/man/man1/kubectl-lsp-push.1.gz | head -n 1; dpkg -r kubectl-lsp; ! test -e /usr/bin/kubectl-lsp")
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
	engine := exec.Command("dockerd", "--storage-driver=vfs", "--iptables=false", "--ip6tables=false", "--bridge=none", "--log-level=warn", //nolint:noctx // it is stopped below
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
