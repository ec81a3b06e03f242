// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// One story in steps: building is what takes the time.
func TestPublishing(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds the server for two platforms; left out by -short")
	}
	here, there := checkout(t), checkout(t)
	first, second := startRegistry(t), startRegistry(t)
	login := dockerConfig(t, password, first, second)
	registry := first.host + "/team/lsp"
	crane := func(t *testing.T, args ...string) string {
		t.Helper()
		return mustRun(t, command{args: append([]string{tool(t, "crane")}, args...), env: []string{login}})
	}

	published := publish(t, here, registry, login)
	if published.err != nil {
		t.Fatalf("publish: %v\n%s%s", published.err, published.stdout, published.stderr)
	}
	refs := references(t, published.stdout, registry)
	image := refs[0]
	stored := first.files(t)
	unchanged := func(t *testing.T) {
		t.Helper()
		if diff := cmp.Diff(stored, first.files(t)); diff != "" {
			t.Errorf("the registry changed (-before +after):\n%s", diff)
		}
	}

	t.Run("every tag has the digest that was printed", func(t *testing.T) {
		for _, ref := range refs[1:] {
			tagged, want, _ := strings.Cut(ref, "@")
			if got := strings.TrimSpace(crane(t, "digest", tagged)); got != want {
				t.Errorf("%s is %s", ref, got)
			}
		}
	})
	t.Run("again, nothing changes", func(t *testing.T) {
		again := publish(t, here, registry, login)
		if again.err != nil || !strings.Contains(again.stdout, "is there already, with the same content") {
			t.Errorf("publish: %v\n%s%s", again.err, again.stdout, again.stderr)
		}
		unchanged(t)
	})
	t.Run("the same commit in another directory has the same digests", func(t *testing.T) {
		again := publish(t, there, registry, login)
		if again.err != nil {
			t.Fatalf("publish: %v\n%s%s", again.err, again.stdout, again.stderr)
		}
		if diff := cmp.Diff(refs, references(t, again.stdout, registry)); diff != "" {
			t.Errorf("references (-here +there):\n%s", diff)
		}
		unchanged(t)
	})
	t.Run("other content under the same version is refused", func(t *testing.T) {
		file := filepath.Join(there, "config/service.yml")
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		write(t, file, strings.Replace(string(content), "type: ClusterIP", "type: ClusterIP\n  sessionAffinity: ClientIP", 1))
		other := publish(t, there, registry, login)
		if other.err == nil || !strings.Contains(other.stderr, "is there with other content") {
			t.Errorf("publish: %v\n%s", other.err, other.stderr)
		}
		unchanged(t)
	})
	t.Run("a wrong password is not taken for an empty registry", func(t *testing.T) {
		refused := publish(t, here, registry, dockerConfig(t, "wrong", first))
		if refused.err == nil || !strings.Contains(refused.stderr, "cannot tell whether "+registry) {
			t.Errorf("publish: %v\n%s", refused.err, refused.stderr)
		}
		unchanged(t)
	})
	t.Run("the image is small, runs, and says its version", func(t *testing.T) { checkImage(t, image, crane) })
	t.Run("the image has a tag of its own", func(t *testing.T) {
		if got := strings.TrimSpace(crane(t, "digest", registry+"/local-source-proxy:image-"+version)); got != digest(image) {
			t.Errorf("image-%s is %s, want %s", version, got, digest(image))
		}
	})
	t.Run("the plain manifest needs no Carvel", func(t *testing.T) { checkPlainManifest(t, here, image) })
	t.Run("a base that the operator names is used", func(t *testing.T) {
		mustRun(t, command{dir: here, env: []string{login}, args: []string{"make", "--silent", "package", "VERSION=" + version, "BASE_IMAGE=" + image}})
		content, err := os.ReadFile(filepath.Join(here, "dist/digests.txt"))
		if err != nil || !strings.HasPrefix(string(content), "image sha256:") || strings.Contains(string(content), digest(image)) {
			t.Errorf("the image is the one on our own base: %v\n%s", err, content)
		}
	})
	t.Run("later versions take the earlier ones along", func(t *testing.T) { checkSeveralVersions(t, here, first, login) })
	t.Run("once relocated nothing points back", func(t *testing.T) {
		repository := registry + "/package-repository:" + laterVersion
		mirror := second.host + "/mirror/lsp"
		imgpkg := func(args ...string) string {
			return mustRun(t, command{args: append([]string{tool(t, "imgpkg")}, args...), env: []string{login}})
		}
		archive := filepath.Join(t.TempDir(), "lsp.tar")
		imgpkg("copy", "-b", repository, "--to-tar", archive)
		first.stop()
		imgpkg("copy", "--tar", archive, "--to-repo", mirror)
		checkRelocated(t, mirror, imgpkg, crane)
	})
}

func TestPublishingWantsToKnowWhere(t *testing.T) {
	cases := []struct {
		name string
		env  []string
		want string
	}{
		{"no registry", []string{"REGISTRY=", "VERSION=0.3.0"}, "usage: make publish REGISTRY=host/path VERSION=0.3.0"},
		{"no version", []string{"REGISTRY=a.example.com/b", "VERSION="}, "usage: make publish REGISTRY=host/path VERSION=0.3.0"},
		{"scheme", []string{"REGISTRY=https://a.example.com/b", "VERSION=0.3.0"}, "must be host/path, without scheme"},
		{"host alone", []string{"REGISTRY=a.example.com", "VERSION=0.3.0"}, "must be host/path"},
		{"version with v", []string{"REGISTRY=a.example.com/b", "VERSION=v0.3.0"}, "is not a semantic version"},
		{"CA that is not there", []string{"REGISTRY=a.example.com/b", "VERSION=0.3.0", "CA_CERT_FILE=/nowhere.pem"}, "CA_CERT_FILE /nowhere.pem cannot be read"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			result := run(t, command{args: []string{filepath.Join(root(t), "scripts/publish.sh")}, env: c.env})
			if result.err == nil || !strings.Contains(result.stderr, c.want) {
				t.Errorf("error %v, want %q:\n%s", result.err, c.want, result.stderr)
			}
		})
	}
}

func TestGeneratedFilesAreCurrent(t *testing.T) {
	result := run(t, command{args: []string{filepath.Join(root(t), "scripts/generate.sh"), "--check"}})
	if result.err != nil {
		t.Errorf("%v\n%s%s", result.err, result.stdout, result.stderr)
	}
}
