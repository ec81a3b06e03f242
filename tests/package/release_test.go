// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
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
	t.Parallel()
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
	t.Run("the RPM package", func(t *testing.T) { r.checkRPM(t) })
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
