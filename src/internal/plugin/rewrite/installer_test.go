// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/rewrite"
)

func custom(apiVersion, kind, name string) string {
	return "apiVersion: " + apiVersion + "\nkind: " + kind + "\nmetadata: {name: " + name + "}\n---\n"
}

func annotated(object, annotation string) string {
	return strings.Replace(object, "metadata: {", "metadata: {annotations: {"+annotation+"}, ", 1)
}

// names are what a midstream is built of, without its Secrets.
func (s *site) names() []string {
	s.Helper()
	var all []string
	for _, object := range s.build() {
		if object.GetKind() != "Secret" {
			all = append(all, object.GetKind()+" "+object.GetName())
		}
	}
	slices.Sort(all)
	return all
}

// TestWhatOnlyInstallersRead is left out, wherever it stands, and the rest is not.
func TestWhatOnlyInstallersRead(t *testing.T) {
	aside := custom("kots.io/v1beta1", "Config", "a") + custom("kots.io/v1beta2", "HelmChart", "chart") + custom("app.k8s.io/v1beta1", "Application", "b") +
		custom("troubleshoot.sh/v1beta2", "Preflight", "c") + custom("troubleshoot.replicated.com/v1beta1", "Collector", "d") +
		custom("cluster.kurl.sh/v1beta1", "Installer", "e") + custom("kurl.sh/v1beta1", "Installer", "f") +
		custom("embeddedcluster.replicated.com/v1beta1", "Config", "g") + custom("velero.io/v1", "Backup", "h") +
		annotated(pod("excluded", "o/excluded:1"), `kots.io/exclude: "true"`) + annotated(pod("not-now", "o/excluded:2"), `"kots.io/when": "false"`)
	applied := custom("velero.io/v1", "Restore", "r") + custom("notkurl.sh/v1", "Installer", "i") + custom("example.com/v1", "HelmChart", "x") +
		annotated(pod("included", "o/a:1"), `kots.io/exclude: "false", kots.io/when: "true"`) + annotated(pod("empty", "o/a:1"), `kots.io/exclude: "", kots.io/when: ""`)
	want := []string{"HelmChart x", "Installer i", "Pod empty", "Pod included", "Restore r"}
	list := "apiVersion: v1\nkind: List\nitems:\n"
	for _, object := range strings.Split(strings.TrimSuffix(aside+applied, "---\n"), "---\n") {
		list += "- " + strings.ReplaceAll(strings.TrimSuffix(object, "\n"), "\n", "\n  ") + "\n"
	}
	for name, files := range map[string]map[string]string{
		"of one file":        {"all.yaml": aside + applied},
		"of two files":       {"aside.yaml": aside, "applied.yaml": applied},
		"of a List":          {"all.yaml": list},
		"of a kustomization": {"aside.yaml": aside, "applied.yaml": applied, "kustomization.yaml": "resources: [aside.yaml, applied.yaml]\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, files)
			s.rewrite()
			if diff := cmp.Diff(want, s.names()); diff != "" {
				t.Errorf("built (-want +got):\n%s", diff)
			}
			if got := images(s.plan.Base); !slices.Equal(got, []string{"o/a:1"}) {
				t.Errorf("images of what is left out: %v", got)
			}
			all := strings.Join(s.plan.Warnings(), "\n")
			for _, warning := range []string{
				"Backup h (velero.io/v1) is for installers and left out of what is applied",
				"HelmChart chart (kots.io/v1beta2) is for installers and left out of what is applied: install its chart with Helm and the values of kubectl lsp helm-values",
				"Pod excluded has the annotation kots.io/exclude: true and is left out of what is applied",
				"Pod not-now has the annotation kots.io/when: false and is left out of what is applied",
			} {
				if strings.Count(all, warning) != 1 {
					t.Errorf("no warning %q:\n%s", warning, all)
				}
			}
			if len(s.plan.Warnings()) != 11 {
				t.Errorf("warnings:\n%s", all)
			}
		})
	}
}

// TestAlternatives: of two objects of one name, an installer leaves out one.
func TestAlternatives(t *testing.T) {
	one, other := annotated(pod("p", "o/a:1"), `kots.io/when: "true"`), annotated(pod("p", "o/b:1"), `kots.io/when: "false"`)
	s := newSite(t, map[string]string{"one.yaml": one, "other.yaml": other})
	s.rewrite()
	s.want(map[string]outcome{"Pod p": {[]string{through + "o/a:1"}, []string{secretName}}})

	s = newSite(t, map[string]string{"both.yaml": one + other})
	if _, err := s.tryRewrite(); err == nil || !strings.HasSuffix(err.Error(), "both.yaml: line 6: Pod p is left out here (kots.io/when: false) and there in another document: put this one into a file of its own") {
		t.Errorf("in one file: %v", err)
	}
}

func TestTemplatesThatWereNotRendered(t *testing.T) {
	templated := func(value string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: b\n  c: " + value + "\n"
	}
	config := strings.Replace(custom("kots.io/v1beta1", "Config", "c"), "---", "spec: {a: 'repl{{ RandomString 1 }}'}\n---", 1)
	const kustomization = "resources: [a.yaml]\n"
	tests := []struct {
		name string
		text string
		line string // empty: it is no error
	}{
		{"quoted", templated(`'{{repl ConfigOption "x" }}'`), "line 6"},
		{"the other spelling", templated(`repl{{ ConfigOption "x" }}`), "line 6"},
		{"inside of a value", templated(`"https://{{repl ConfigOption 'x' }}/a"`), "line 6"},
		{"without quotes", templated(`{{repl ConfigOption "x" }}`), "line 6"},
		{"in a block of text", templated("|\n    one\n    repl{{ two }}\n"), "line 8"},
		{"in a key", templated("d\n  'repl{{ key }}': x"), "line 7"},
		{"in an image", pod("p", `{{repl LocalImageName "o/a" }}`), "line 4"},
		{"in an annotation", annotated(pod("p", "o/a:1"), `kots.io/when: 'repl{{ ConfigOptionEquals "a" "1" }}'`), "line 3"},
		{"of YAML that is none", "{{repl if ConfigOptionEquals }}\n" + pod("p", "o/a:1") + "{{repl end }}\n", "line 1"},
		{"in the second document", pod("p", "o/a:1") + templated("repl{{ x }}"), "line 11"},
		{"in a List", "apiVersion: v1\nkind: List\nitems:\n- " + strings.ReplaceAll(templated("repl{{ x }}"), "\n", "\n  "), "line 9"},
		{"in a comment", pod("p", "o/a:1") + "# repl{{ x }}\n" + templated("d # {{repl x }}"), ""},
		{"of Go, without quotes", templated("d\n  e: {a: {replicas: 1}}"), ""},
		{"of Helm or Go", templated("'{{ .Values.repl }} {{ replicas }}'"), ""},
		{"in what is left out", pod("p", "o/a:1") + config, ""},
		{"in a List, left out", "apiVersion: v1\nkind: List\nitems:\n- " + strings.ReplaceAll(strings.TrimSuffix(pod("p", "o/a:1"), "---\n"), "\n", "\n  ") + "\n- " + strings.ReplaceAll(strings.TrimSuffix(config, "---\n"), "\n", "\n  "), ""},
	}
	for _, tt := range tests {
		for _, own := range []bool{false, true} {
			files := map[string]string{"a.yaml": tt.text}
			if own {
				files["kustomization.yaml"] = kustomization
			}
			s := newSite(t, files)
			_, err := s.tryRewrite()
			if tt.line == "" {
				if err != nil {
					t.Errorf("%s (own kustomization: %t): %v", tt.name, own, err)
				}
				continue
			}
			if err == nil || !strings.HasSuffix(err.Error(), "a.yaml: "+tt.line+": template text (repl{{ … }}) that was not rendered: take the manifests as the installer renders them, or write the value there") {
				t.Errorf("%s (own kustomization: %t): %v", tt.name, own, err)
			}
		}
	}
}

func TestNothingToApply(t *testing.T) {
	chart := custom("kots.io/v1beta2", "HelmChart", "redis")
	config := custom("kots.io/v1beta1", "Config", "c")
	const charts = "has HelmChart objects (postgres, redis) and nothing that a cluster takes: for each of them, install its chart with Helm and the values of " +
		"kubectl lsp helm-values, or put what helm template renders into the base"
	for want, files := range map[string]map[string]string{
		charts:       {"a.yaml": chart, "b.yaml": custom("kots.io/v1beta1", "HelmChart", "postgres") + config, "values.yaml": "a: b\n"},
		charts + " ": {"a.yaml": chart + custom("kots.io/v1beta1", "HelmChart", "postgres"), "kustomization.yaml": "resources: [a.yaml]\n"},
		"has nothing but what an installer reads or leaves out: point --base at the application's manifests": {"a.yaml": config},
		"has no Kubernetes objects": {"values.yaml": "a: b\n"},
	} {
		s := newSite(t, files)
		if _, err := s.tryRewrite(); err == nil || !strings.HasSuffix(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// TestApplicationFields reads what KOTS reads.
func TestApplicationFields(t *testing.T) {
	s := newSite(t, map[string]string{"a.yaml": pod("p", "o/a:1"), "app.yaml": custom("kots.io/v1beta1", "Application", "a") +
		"apiVersion: kots.io/v1beta1\nkind: Application\nmetadata: {name: b}\nspec: {proxyPublicImages: true, replicatedRegistryDomain: registry.acme.example, proxyRegistryDomain: proxy.acme.example}\n"})
	base, err := rewrite.LoadBase(t.Context(), &rewrite.Stage{}, s.root+"/base")
	if err != nil {
		t.Fatal(err)
	}
	want := rewrite.Application{Domain: "proxy.acme.example", RegistryDomain: "registry.acme.example", ProxyPublicImages: true}
	if diff := cmp.Diff(want, base.Application); diff != "" {
		t.Error(diff)
	}
	for field, want := range map[string]string{
		"proxyPublicImages: perhaps":        "Application: ",
		"replicatedRegistryDomain: 'a b'":   `spec.replicatedRegistryDomain "a b" is not a domain`,
		"replicatedRegistryDomain: https:x": `spec.replicatedRegistryDomain "https:x" is not a domain`,
	} {
		s := newSite(t, map[string]string{"a.yaml": pod("p", "o/a:1"), "app.yaml": "apiVersion: kots.io/v1beta1\nkind: Application\nmetadata: {name: b}\nspec: {" + field + "}\n"})
		if _, err := s.tryRewrite(); err == nil || !strings.Contains(err.Error(), "app.yaml: line 1: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", field, err)
		}
	}
}
