// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// checkout makes a repository of its own in a new directory from the files as they are here. Author and time are fixed, so
// that each has the very same commit.
func checkout(t *testing.T) string {
	t.Helper()
	from, to := root(t), filepath.Join(t.TempDir(), "checkout")
	list := mustRun(t, command{dir: from, args: []string{"git", "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate", "-z"}})
	for file := range strings.SplitSeq(strings.TrimSuffix(list, "\x00"), "\x00") {
		info, err := os.Stat(filepath.Join(from, file))
		if err != nil {
			continue // deleted, and not yet committed
		}
		content, err := os.ReadFile(filepath.Join(from, file))
		if err != nil {
			t.Fatalf("copy: %v", err)
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, file)), 0o755); err != nil {
			t.Fatalf("copy: %v", err)
		}
		if err := os.WriteFile(filepath.Join(to, file), content, info.Mode().Perm()); err != nil {
			t.Fatalf("copy: %v", err)
		}
	}
	// The tools are the same; building them once is enough.
	for _, name := range []string{"crane", "imgpkg", "kbld", "ko", "ytt"} {
		tool(t, name)
	}
	if err := os.Symlink(filepath.Join(from, ".tools"), filepath.Join(to, ".tools")); err != nil {
		t.Fatalf("link .tools: %v", err)
	}
	for _, args := range [][]string{
		{"git", "init", "--quiet", "--initial-branch=main"},
		{"git", "add", "--all"},
		{"git", "commit", "--quiet", "--message=All", "--no-gpg-sign"},
	} {
		mustRun(t, command{dir: to, args: args, env: []string{
			"GIT_AUTHOR_NAME=test", "GIT_AUTHOR_EMAIL=test@example.com", "GIT_AUTHOR_DATE=2026-01-02T03:04:05Z",
			"GIT_COMMITTER_NAME=test", "GIT_COMMITTER_EMAIL=test@example.com", "GIT_COMMITTER_DATE=2026-01-02T03:04:05Z",
			"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		}})
	}
	return to
}

func publish(t *testing.T, dir, registry string, env ...string) result {
	t.Helper()
	return run(t, command{dir: dir, env: env, args: []string{"make", "--silent", "publish", "REGISTRY=" + registry, "VERSION=" + version}})
}

// references returns the lines with digests that publishing ends with.
func references(t *testing.T, stdout, registry string) []string {
	t.Helper()
	var found []string
	for line := range strings.Lines(stdout) {
		if strings.HasPrefix(line, registry) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	if len(found) != 4 {
		t.Fatalf("publishing printed %d references, want those of the image and three bundles:\n%s", len(found), stdout)
	}
	return found
}

func digest(reference string) string {
	return reference[strings.LastIndex(reference, "@")+1:]
}

// One story in steps: building is what takes the time.
func TestPublishing(t *testing.T) {
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
	t.Run("SBOMs are attached", func(t *testing.T) {
		for _, digest := range append(platformDigests(t, image, crane), digest(image)) {
			manifest := crane(t, "manifest", registry+"/local-source-proxy:"+strings.Replace(digest, ":", "-", 1)+".sbom")
			if !strings.Contains(manifest, "text/spdx+json") {
				t.Errorf("SBOM of %s: %s", digest, manifest)
			}
		}
	})
	t.Run("the plain manifest needs no Carvel", func(t *testing.T) { checkPlainManifest(t, here, image) })
	t.Run("relocated, nothing points back", func(t *testing.T) {
		repository := registry + "/package-repository:" + version
		mirror := second.host + "/mirror/lsp"
		imgpkg := func(args ...string) string {
			return mustRun(t, command{args: append([]string{tool(t, "imgpkg")}, args...), env: []string{login}})
		}
		imgpkg("copy", "-b", repository, "--to-repo", mirror)
		first.stop()
		checkRelocated(t, mirror, imgpkg, crane)
	})
}

func platformDigests(t *testing.T, image string, crane func(*testing.T, ...string) string) []string {
	t.Helper()
	var index struct {
		Manifests []struct {
			Digest   string
			Platform struct{ OS, Architecture string }
		}
	}
	if err := json.Unmarshal([]byte(crane(t, "manifest", image)), &index); err != nil {
		t.Fatalf("parse index: %v", err)
	}
	var platforms, digests []string
	for _, manifest := range index.Manifests {
		platforms = append(platforms, manifest.Platform.OS+"/"+manifest.Platform.Architecture)
		digests = append(digests, manifest.Digest)
	}
	if diff := cmp.Diff([]string{"linux/amd64", "linux/arm64"}, platforms); diff != "" {
		t.Errorf("platforms (-want +got):\n%s", diff)
	}
	return digests
}

func checkImage(t *testing.T, image string, crane func(*testing.T, ...string) string) {
	want := []string{
		"etc/", "etc/group", "etc/passwd", "etc/ssl/", "etc/ssl/certs/", "etc/ssl/certs/ca-certificates.crt",
		"ko-app/", "ko-app/local-source-proxy", "var/run/ko/",
	}
	for _, platform := range []string{"linux/amd64", "linux/arm64"} {
		archive := filepath.Join(t.TempDir(), "image.tar")
		crane(t, "export", "--platform", platform, image, archive)
		dir := t.TempDir()
		var got []string
		for name := range strings.Lines(mustRun(t, command{args: []string{"tar", "-xvf", archive, "-C", dir}})) {
			got = append(got, strings.TrimPrefix(strings.TrimSpace(name), "/"))
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, slices.DeleteFunc(got, func(name string) bool { return name == "var/" || name == "var/run/" })); diff != "" {
			t.Errorf("%s: files (-want +got):\n%s", platform, diff)
		}
		var config struct {
			Config struct {
				User       string
				Entrypoint []string
			}
		}
		if err := json.Unmarshal([]byte(crane(t, "config", "--platform", platform, image)), &config); err != nil {
			t.Fatalf("parse config: %v", err)
		}
		if config.Config.User != "65532:65532" || !slices.Equal(config.Config.Entrypoint, []string{"/ko-app/local-source-proxy"}) {
			t.Errorf("%s: config %+v", platform, config)
		}
		if platform == "linux/"+hostArchitecture(t) {
			out := mustRun(t, command{args: []string{filepath.Join(dir, "ko-app/local-source-proxy"), "version"}})
			if !strings.Contains(out, version) {
				t.Errorf("the program in the image says %q", out)
			}
		}
	}
}

func hostArchitecture(t *testing.T) string {
	return strings.TrimSpace(mustRun(t, command{args: []string{"go", "env", "GOHOSTARCH"}}))
}

func checkPlainManifest(t *testing.T, dir, image string) {
	content, err := os.ReadFile(filepath.Join(dir, "dist/local-source-proxy.yml"))
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	all := objects(t, string(content))
	if first := all[0].text("kind"); first != "Namespace" {
		t.Errorf("kubectl would create a %s before the namespace", first)
	}
	for _, o := range all {
		if ofCarvel(o) {
			t.Errorf("%s needs a Carvel controller", o.id())
		}
	}
	container := deployment(t, all).Spec.Template.Spec.Containers[0]
	if container.Image != image || !slices.Contains(container.Args, "--push-secret=local-source-proxy-push") {
		t.Errorf("image %s, want %s; args %v", container.Image, image, container.Args)
	}
}

// imagesLock is imgpkg's ImagesLock.
type imagesLock struct {
	Images []struct{ Image string }
}

func readLock(t *testing.T, dir string) []string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, ".imgpkg/images.yml"))
	if err != nil {
		t.Fatalf("read lock: %v", err)
	}
	var lock imagesLock
	if err := yaml.Unmarshal(content, &lock); err != nil {
		t.Fatalf("parse lock: %v", err)
	}
	var images []string
	for _, entry := range lock.Images {
		images = append(images, entry.Image)
	}
	return images
}

// checkRelocated follows the way of kapp-controller from the mirror's package repository down to the image of the pods.
func checkRelocated(t *testing.T, mirror string, imgpkg func(...string) string, crane func(*testing.T, ...string) string) {
	kbld := func(dir, manifests string) []object {
		return objects(t, mustRun(t, command{stdin: manifests, args: []string{tool(t, "kbld"), "-f", "-", "-f", filepath.Join(dir, ".imgpkg/images.yml")}}))
	}
	fromMirror := func(images []string) {
		t.Helper()
		for _, image := range images {
			if !strings.HasPrefix(image, mirror+"@sha256:") {
				t.Errorf("%s is not in the mirror", image)
			}
			crane(t, "validate", "--remote", image)
		}
	}
	repository := t.TempDir()
	imgpkg("pull", "-b", mirror+":"+version, "-o", repository)
	if images := readLock(t, repository); len(images) != 2 {
		t.Errorf("the repository's lock has %v, want the bundles of two packages", images)
	} else {
		for _, image := range images {
			if !strings.HasPrefix(image, mirror+"@sha256:") {
				t.Errorf("%s is not in the mirror", image)
			}
		}
	}
	manifests := mustRun(t, command{args: []string{tool(t, "ytt"), "-f", filepath.Join(repository, "packages")}})
	packages := 0
	for _, o := range kbld(repository, manifests) {
		if o.text("kind") != "Package" {
			continue
		}
		packages++
		checkPackage(t, o)
		fetch := o.at("spec", "template", "spec", "fetch").([]any)
		bundle := object(fetch[0].(map[string]any)).text("imgpkgBundle", "image")
		if !strings.HasPrefix(bundle, mirror+"@sha256:") {
			t.Errorf("%s fetches %s", o.id(), bundle)
		}
		dir := t.TempDir()
		imgpkg("pull", "-b", bundle, "-o", dir)
		fromMirror(readLock(t, dir))
		rendered := render(t, filepath.Join(dir, "config"), "{}")
		if rendered.err != nil {
			t.Fatalf("render %s: %v\n%s", o.id(), rendered.err, rendered.stderr)
		}
		if all := kbld(dir, rendered.stdout); packageInstall(all) == nil {
			fromMirror([]string{deployment(t, all).Spec.Template.Spec.Containers[0].Image})
		}
	}
	if packages != 2 {
		t.Errorf("the repository has %d packages", packages)
	}
}

func checkPackage(t *testing.T, o object) {
	t.Helper()
	files := map[string]string{
		"local-source-proxy.apps.tanzu.vmware.com": "bundle/openapi.yml",
		"ootb-profiles.apps.tanzu.vmware.com":      "package-repository/ootb-profiles/openapi.yml",
	}
	name := o.text("spec", "refName")
	if o.text("metadata", "name") != name+"."+version || o.text("spec", "version") != version {
		t.Errorf("package %s has refName %s and version %s", o.text("metadata", "name"), name, o.text("spec", "version"))
	}
	if strings.TrimSpace(o.text("spec", "releaseNotes")) == "" || o.text("spec", "releasedAt") != "2026-01-02T03:04:05Z" {
		t.Errorf("%s: released at %s, notes %q", o.id(), o.text("spec", "releasedAt"), o.text("spec", "releaseNotes"))
	}
	content, err := os.ReadFile(filepath.Join(root(t), files[name]))
	if err != nil {
		t.Fatalf("read the OpenAPI of %s: %v", name, err)
	}
	var document object
	if err := yaml.Unmarshal(content, &document); err != nil {
		t.Fatalf("parse the OpenAPI of %s: %v", name, err)
	}
	if diff := cmp.Diff(document.at("components", "schemas", "dataValues"), o.at("spec", "valuesSchema", "openAPIv3")); diff != "" {
		t.Errorf("%s: schema (-committed +published):\n%s", o.id(), diff)
	}
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
