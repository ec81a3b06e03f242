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
)

func checkImage(t *testing.T, image string, crane func(*testing.T, ...string) string) {
	want := []string{
		"etc", "etc/group", "etc/passwd", "etc/ssl", "etc/ssl/certs", "etc/ssl/certs/ca-certificates.crt",
		"ko-app", "ko-app/local-source-proxy", "var", "var/run", "var/run/ko",
	}
	for _, platform := range []string{"linux/amd64", "linux/arm64"} {
		archive := filepath.Join(t.TempDir(), "image.tar")
		crane(t, "export", "--platform", platform, image, archive)
		dir := t.TempDir()
		var got []string
		for name := range strings.Lines(mustRun(t, command{args: []string{"tar", "-xvf", archive, "-C", dir}})) {
			got = append(got, strings.Trim(strings.TrimSpace(name), "/"))
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
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
			checkProgram(t, filepath.Join(dir, "ko-app/local-source-proxy"))
		}
	}
}

// checkProgram holds the program in the image against the manifests: it has to know their flags and their
// values.
func checkProgram(t *testing.T, program string) {
	if out := mustRun(t, command{args: []string{program, "version"}}); !strings.Contains(out, version) {
		t.Errorf("the program in the image says %q", out)
	}
	all := mustRender(t, productTemplates(t), "{repository: \"127.0.0.1:1/apps/source\", push_secret: {name: push, namespace: tap-local-source-system}}")
	args := deployment(t, all).Spec.Template.Spec.Containers[0].Args
	// Every flag is understood, and then there is no cluster.
	if result := run(t, command{args: append([]string{program}, args...)}); !strings.Contains(result.stderr, "--namespace is for a server in a cluster") {
		t.Errorf("%v: %s", args, result.stderr)
	}
	values := filepath.Join(t.TempDir(), "values.yml")
	write(t, values, find(t, all, namespace+"/Secret/local-source-proxy-values").text("stringData", "values.yml"))
	// Nothing listens there; the settings are read before that is found out.
	result := run(t, command{args: []string{program, "check", "--values-file", values}})
	if !strings.Contains(result.stdout, "pushes go to 127.0.0.1:1/apps/source") {
		t.Errorf("check: %v\n%s%s", result.err, result.stdout, result.stderr)
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
		if ofOthers(o) {
			t.Errorf("%s needs a Carvel controller", o.id())
		}
	}
	container := deployment(t, all).Spec.Template.Spec.Containers[0]
	if container.Image != image || !slices.Contains(container.Args, "--push-secret=local-source-proxy-push") {
		t.Errorf("image %s, want %s; args %v", container.Image, image, container.Args)
	}
}
