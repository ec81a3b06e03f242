// SPDX-License-Identifier: Apache-2.0

package command

import (
	"os"
	"strings"
	"testing"
)

// stream runs the command as a post-renderer does.
func (s *market) stream(manifests string, args ...string) outcome {
	s.Helper()
	host, _, _ := strings.Cut(s.private, "/")
	return s.answer(manifests, append([]string{"rewrite", "-f", "-", "--license-file", s.path("license.yaml"), "--alias", host + "=vendor"}, args...)...)
}

func (s *market) pod() string {
	return "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: '" + s.private + ":1'}, {name: b, image: '" + s.public + ":1'}]}\n"
}

// TestRewriteStream: manifests on standard output and nothing else, everything else on standard error, and no
// file.
func TestRewriteStream(t *testing.T) {
	s := newMarket(t)
	t.Chdir(t.TempDir())
	printed := `apiVersion: v1\nkind: Pod\n.*image: '?proxy\.example\.com/proxy/my-app/vendor/o/private:1.*image: '?` + s.public + `:1.*` +
		`---\n.*kind: Secret\n.*`
	said := "Asked the registries about 2 images.\n"
	s.stream(s.pod()).want(t, 0, printed, said)
	s.stream(s.pod(), "-n", "shop").want(t, 0, printed+`.*namespace: shop\n.*`, said)
	if quiet := s.stream(s.pod(), "--quiet"); quiet.err != "" || quiet.code != 0 {
		t.Errorf("--quiet says %+v", quiet)
	}
	s.file("manifests.yaml", s.pod())
	host, _, _ := strings.Cut(s.private, "/")
	s.run("rewrite", "-f", s.path("manifests.yaml"), "--license-file", s.path("license.yaml"), "--alias", host+"=vendor").want(t, 0, printed, said)
	if left, err := os.ReadDir("."); len(left) > 0 || err != nil {
		t.Errorf("it wrote %v, %v", left, err)
	}
	// The namespaces of an Application get the Secret, as in a base.
	application := "---\napiVersion: kots.io/v1beta1\nkind: Application\nmetadata: {name: a}\nspec: {additionalNamespaces: [more]}\n"
	s.stream(s.pod()+application).want(t, 0, printed+`.*namespace: more\n.*`, "Warning: Application a ")
}

func TestRewriteStreamMistakes(t *testing.T) {
	s := newMarket(t)
	for _, tt := range []struct {
		name, in string
		args     []string
		code     int
		want     string
	}{
		{"a base too", s.pod(), []string{"--base", s.path("base")}, 2, "leave out --base and --midstream"},
		{"a midstream", s.pod(), []string{"--midstream", s.path("mid")}, 2, "leave out --base and --midstream"},
		{"a dry run", s.pod(), []string{"--dry-run"}, 2, "-f writes no file: leave out --dry-run"},
		{"a report", s.pod(), []string{"-o", "json"}, 2, "-f prints the manifests as YAML: leave out --output"},
		{"no file", s.pod(), []string{"-f", "/no/such"}, 1, "read the manifests: open /no/such: no such file"},
		{"a directory", s.pod(), []string{"-f", s.dir}, 1, "is a directory"},
		{"nothing", "", nil, 1, "standard input has no Kubernetes objects"},
		{"no YAML", "a: b\n c: d\n", nil, 1, "standard input: line 2: mapping values are not allowed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := s.stream(tt.in, tt.args...)
			out.want(t, tt.code, "", tt.want)
			if strings.Count(out.err, "\n") != 1 {
				t.Errorf("stderr:\n%s", out.err)
			}
		})
	}
}

// TestRewriteWithCharts: kustomize's own Helm is off until it is allowed, and its absence is said plainly.
func TestRewriteWithCharts(t *testing.T) {
	s := newMarket(t)
	s.file("base/kustomization.yaml", "resources: [pod.yaml]\nhelmCharts:\n- name: chart\n  releaseName: shop\n")
	s.file("base/charts/chart/Chart.yaml", "apiVersion: v2\nname: chart\nversion: 0.1.0\n")
	s.file("base/charts/chart/values.yaml", "{}\n")
	s.rewrite().want(t, 1, "", "its kustomization has helmCharts, which kustomize renders with --enable-helm only\n")
	for _, helm := range []string{"no-such-helm", s.path("no-such-helm")} {
		out := s.rewrite("--enable-helm", "--helm-command", helm)
		out.want(t, 1, "", "its helmCharts need Helm, and there is none: exec: \""+helm+"\": ")
		if strings.Count(out.err, "\n") != 1 || len(out.err) > 400 {
			t.Errorf("stderr:\n%s", out.err)
		}
	}
	if _, err := os.Stat(s.path("overlays")); err == nil {
		t.Error("an error wrote something")
	}
}
