// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/rewrite"
)

func selector(t *testing.T, text string) []rewrite.FieldSelector {
	t.Helper()
	s, err := rewrite.ParseFieldSelector(text)
	if err != nil {
		t.Fatal(err)
	}
	return []rewrite.FieldSelector{s}
}

const chart = `apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data:
  config.yaml: |
    # from quay.io/o/a:1, see https://quay.io/o/a:1
    image: "quay.io/o/a:1"
    other: quay.io/o/a-b:1
    public: quay.io/o/public:1
    list: [quay.io/o/a:1, "docker://quay.io/o/a"]
    old: ${REGISTRY}/o/a:1
  config.json: '{"image" : "d/storage:v1", "n": 1}'
  hosts: "quay.io/o/a:1 quay.io/o/b:1"
`

// TestInText: a text is a file of somebody's, and is changed only where the user says so. Nothing but the
// images changes.
func TestInText(t *testing.T) {
	s := newSite(t, operator(strings.Replace(chart, "docker://quay.io/o/a", "x", 1)))
	s.public = []string{"quay.io/o/public:1", "d/storage:v1"}
	s.rewrite()
	const at = "ConfigMap c/data/config.yaml"
	before := s.values()[at]
	if strings.Contains(before, proxyDomain) {
		t.Errorf("without --in-text it is\n%s", before)
	}
	warnings := strings.Join(s.plan.Warnings(), "\n")
	for _, want := range []string{
		"ConfigMap c: data[config.yaml]: quay.io/o/a:1 stays: it is part of a text; --in-text renames what is in texts, and --keep-field 'ConfigMap:data[config.yaml]' keeps it without a warning",
		"ConfigMap c: data[config.yaml]: quay.io/o/a-b:1 stays", "ConfigMap c: data.hosts: quay.io/o/b:1 stays",
	} {
		if !strings.Contains(warnings, want) {
			t.Errorf("no warning %q in\n%s", want, warnings)
		}
	}
	if strings.Contains(warnings, "quay.io/o/public:1") || strings.Contains(warnings, "d/storage") {
		t.Errorf("a warning of a public image:\n%s", warnings)
	}
	s.plan.InText, s.public = true, s.public[:1]
	s.rewrite()
	want := strings.NewReplacer("from quay", "from "+through+"quay", `"quay`, `"`+through+"quay", ": quay.io/o/a-b", ": "+through+"quay.io/o/a-b", "[quay", "["+through+"quay").Replace(before)
	if got := s.values()[at]; got != want {
		t.Errorf("with --in-text it is\n%s\nwant\n%s", got, want)
	}
	if got := s.values()["ConfigMap c/data/hosts"]; got != through+"quay.io/o/a:1 "+through+"quay.io/o/b:1" {
		t.Errorf("hosts is %s", got)
	}
}

// TestFieldFlags: what the user says comes before all else.
func TestFieldFlags(t *testing.T) {
	const broker = "apiVersion: example.com/v1\nkind: Broker\nmetadata: {name: b}\nspec: {image: 'quay.io/o/a:1', runs: {repository: quay.io/o/b, tag: v1}, steps: [{run: busybox}, {run: 'busybox:2'}]}\n"
	s := newSite(t, operator(broker+"---\n"+chart))
	tests := []struct{ image, keep, at, become string }{
		{"", "Broker:spec.image", "Broker b/spec/image", "quay.io/o/a:1"},
		{"", "Broker.example.com:spec.image", "Broker b/spec/image", "quay.io/o/a:1"},
		{"", "Broker.other.example.com:spec.image", "Broker b/spec/image", through + "quay.io/o/a:1"},
		{"Broker:spec.runs.repository", "", "Broker b/spec/runs/repository", through + "quay.io/o/b"},
		{"Broker:spec.*.repository", "", "Broker b/spec/runs/repository", through + "quay.io/o/b"},
		{"Broker:spec.steps[].run", "", "Broker b/spec/steps/0/run", through + "busybox"},
		{"Broker:spec.steps[1].run", "", "Broker b/spec/steps/0/run", "busybox"},
		{"Broker:spec.steps[1].run", "", "Broker b/spec/steps/1/run", through + "busybox:2"},
		{"ConfigMap:data[config.json]", "", "ConfigMap c/data/config.json", `{"image" : "` + through + `d/storage:v1", "n": 1}`},
	}
	for _, tt := range tests {
		s.options = rewrite.FieldOptions{}
		if tt.image != "" {
			s.options.Image = selector(t, tt.image)
		}
		if tt.keep != "" {
			s.options.Keep = selector(t, tt.keep)
		}
		s.rewrite()
		if got := s.values()[tt.at]; got != tt.become {
			t.Errorf("image %s, keep %s: %s is %q, want %q", tt.image, tt.keep, tt.at, got, tt.become)
		}
		for _, warning := range s.plan.Warnings() {
			if tt.keep == "Broker:spec.image" && strings.Contains(warning, "spec.image") || tt.image != "" && strings.Contains(warning, "Broker b: "+strings.TrimPrefix(tt.image, "Broker:")) {
				t.Errorf("a warning all the same: %s", warning)
			}
		}
	}
	s.options = rewrite.FieldOptions{Image: selector(t, "Pod:spec.containers[0].name")}
	s.rewrite()
	if got := s.values()["Pod p/spec/containers/0/name"]; got != through+"ca" {
		t.Errorf("the user says it is an image, and it is %s", got)
	}
	s.options = rewrite.FieldOptions{Image: selector(t, "Broker:apiVersion")}
	s.options.Image = append(s.options.Image, selector(t, "ConfigMap:data[none.yaml]")...)
	s.rewrite()
	if len(s.unused) != 2 {
		t.Errorf("unused: %v", s.unused)
	}
	s.options = rewrite.FieldOptions{Keep: selector(t, "Broker:spec.none"), Image: selector(t, "None:spec")}
	s.rewrite()
	if s.unused = slices.Clone(s.unused); len(s.unused) != 2 || s.unused[0].String() != "None:spec" {
		t.Errorf("unused: %v", s.unused)
	}
}

// TestImageFieldWithoutAnImage: what the user calls an image and is none is told.
func TestImageFieldWithoutAnImage(t *testing.T) {
	s := newSite(t, operator("apiVersion: example.com/v1\nkind: Broker\nmetadata: {name: b}\nspec: {image: 'A B'}\n"))
	s.options.Image = selector(t, "Broker:spec.image")
	s.rewrite()
	if warnings := strings.Join(s.plan.Warnings(), "\n"); warnings != `Broker b: spec.image: "A B" is no image, and stays as it is` {
		t.Errorf("warnings\n%s", warnings)
	}
}

func TestParseFieldSelector(t *testing.T) {
	for text, want := range map[string]string{
		"": "write KIND:PATH", "Kafka": "write KIND:PATH", ":spec": "write KIND:PATH", "Kafka:": "write KIND:PATH", "Kafka:spec..a": "a step is empty",
		"Kafka:spec[0": "a bracket is not closed", "Kafka:.spec": "a step is empty", "Kafka:spec.": "a step is empty", "Kafka:spec[0]a": "a dot is missing behind a bracket",
	} {
		if _, err := rewrite.ParseFieldSelector(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// TestNotSure: what need not be an image goes through the proxy only where its registry wants credentials for
// it. That nobody answers, or that nothing is there, is no reason.
func TestNotSure(t *testing.T) {
	const broker = "apiVersion: example.com/v1\nkind: Broker\nmetadata: {name: b}\nspec: {runs: 'ghcr.io/o/a:1', image: 'who/knows:1', list: [{image: word}, {image: auto}]}\n"
	for verdict, want := range map[rewrite.Verdict][2]rewrite.Outcome{
		rewrite.Private:     {rewrite.Renamed, rewrite.Left}, // Docker Hub wants credentials for what does not exist
		rewrite.Public:      {rewrite.Unchanged, rewrite.Unchanged},
		rewrite.Unreachable: {rewrite.Left, rewrite.Left},
		rewrite.Missing:     {rewrite.Left, rewrite.Left},
		rewrite.Assumed:     {rewrite.Left, rewrite.Renamed}, // --all
	} {
		s := newSite(t, operator(broker))
		s.verdict, s.all = verdict, verdict == rewrite.Assumed
		s.rewrite()
		s.wantFields(map[string]rewrite.Outcome{"spec.runs ghcr.io/o/a:1": want[0], "spec.image who/knows:1": want[1], "spec.list[0].image word": want[1]})
		warnings := strings.Join(s.plan.Warnings(), "\n")
		if left := strings.Contains(warnings, "Broker b: spec.runs: ghcr.io/o/a:1 stays: it need not be an image: "); left != (want[0] == rewrite.Left) {
			t.Errorf("%s: warnings\n%s", verdict, warnings)
		}
		if got := s.values()["Broker b/spec/runs"]; strings.Contains(got, proxyDomain) != (want[0] == rewrite.Renamed) {
			t.Errorf("%s: %s", verdict, got)
		}
	}
}

// TestNoRegistry: a web server that forbids everything, and one that answers with pages, does not make an image of
// what need not be one. A registry that wants credentials does.
func TestNoRegistry(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") })
	for name, tt := range map[string]struct {
		handler http.Handler
		want    rewrite.Outcome
	}{
		"forbids all": {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }), rewrite.Left},
		"pages":       {page, rewrite.Left},
		"nothing":     {http.NotFoundHandler(), rewrite.Left},
		"missing":     {stocked(t), rewrite.Left},
		"forbids it":  {status(http.StatusForbidden), rewrite.Renamed},
		"challenges":  {status(http.StatusUnauthorized, "WWW-Authenticate", `Basic realm="x"`), rewrite.Renamed},
	} {
		s := newSite(t, nil)
		image := serve(t, tt.handler) + "/o/a:1"
		for name, text := range operator("apiVersion: example.com/v1\nkind: Broker\nmetadata: {name: b}\nspec: {runs: '" + image + "'}\n") {
			s.write("base/"+name, text)
		}
		base, err := rewrite.LoadBase(t.Context(), new(rewrite.Stage), s.root+"/base")
		if err != nil {
			t.Fatal(err)
		}
		s.plan.Base = base
		if s.plan.Answers, err = (rewrite.Asker{Timeout: patience}).Ask(t.Context(), []string{image}); err != nil {
			t.Fatal(err)
		}
		s.wantFields(map[string]rewrite.Outcome{"spec.runs " + image: tt.want})
		if t.Failed() {
			t.Fatal(name, s.plan.Answers)
		}
	}
}

// TestSplit: a repository that wants its tag from another field is a warning, unless the operator is known.
func TestSplit(t *testing.T) {
	for spec, where := range map[string]string{
		"{image: {repository: quay.io/o/a, tag: v1}}":                       "spec.image.repository",
		"{image: {registry: quay.io, repository: o/a, tag: v1}}":            "spec.image.repository",
		"{image: quay.io/o/a, tag: v1}":                                     "spec.image",
		"{imageRepository: quay.io/o/a, imageTag: v1}":                      "spec.imageRepository",
		"{repository: quay.io/o/a, digest: '" + digest + "'}":               "spec.repository",
		"{repository: quay.io/o/a, sha: '" + digest[len("sha256:"):] + "'}": "spec.repository",
	} {
		s := newSite(t, operator("apiVersion: example.com/v1\nkind: Broker\nmetadata: {name: b}\nspec: "+spec+"\n"))
		s.rewrite()
		warnings := strings.Join(s.plan.Warnings(), "\n")
		if !strings.Contains(warnings, "Broker b: "+where+": quay.io/o/a") || !strings.Contains(warnings, "its tag is in another field; --image-field Broker:"+where+" renames it") {
			t.Errorf("%s: warnings\n%s", spec, warnings)
		}
		for at, value := range s.values() {
			if strings.HasPrefix(at, "Broker") && strings.Contains(value, proxyDomain) {
				t.Errorf("%s: %s is %s", spec, at, value)
			}
		}
	}
}

// TestGenerated: a ConfigMap that kustomize generates has another name with another content, and whoever names
// it follows. One that only looks generated keeps its name.
func TestGenerated(t *testing.T) {
	s := newSite(t, map[string]string{
		"kustomization.yaml": "namePrefix: x-\nresources: [pod.yaml]\nconfigMapGenerator: [{name: c, literals: ['image=quay.io/o/a:1']}]\n",
		"pod.yaml":           "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: 'quay.io/o/p:1', envFrom: [{configMapRef: {name: c}}]}]}\n",
	})
	s.rewrite()
	generated := ""
	for at, value := range s.values() {
		if at, is := strings.CutSuffix(at, "/data/image"); is {
			if generated = strings.TrimPrefix(at, "ConfigMap "); value != through+"quay.io/o/a:1" {
				t.Errorf("it is %s", value)
			}
		}
	}
	if got := s.values()["Pod x-p/spec/containers/0/envFrom/0/configMapRef/name"]; got != generated || len(got) != len("x-c-0123456789") {
		t.Errorf("the Pod names %s, which is %s", got, generated)
	}
	baked := s.values()
	objects := s.build()
	var all strings.Builder
	for _, object := range objects {
		if object.GetName() != secretName {
			all.WriteString(strings.ReplaceAll(object.MustString(), through, "") + "---\n")
		}
	}
	s = newSite(t, map[string]string{"all.yaml": all.String()})
	s.rewrite()
	for at, value := range baked {
		if got := s.values()[at]; got != value {
			t.Errorf("%s is %s, want %s", at, got, value)
		}
	}
}

// TestUsersEntry: an entry of the user's for a name does not reach fields, and that is told.
func TestUsersEntry(t *testing.T) {
	s := newSite(t, operator("apiVersion: example.com/v1\nkind: Broker\nmetadata: {name: b}\nspec: {image: 'quay.io/o/operator:1'}\n"))
	s.write("overlays/midstream/kustomization.yaml", "resources: [../../base]\nimages: [{name: quay.io/o/operator, newName: mine.example.com/operator}]\n")
	s.rewrite()
	if got := s.values()["Broker b/spec/image"]; got != "quay.io/o/operator:1" {
		t.Errorf("it is %s", got)
	}
	if warnings := strings.Join(s.plan.Warnings(), "\n"); !strings.Contains(warnings, "Broker b: spec.image: quay.io/o/operator:1 stays: the midstream's kustomization has an entry of yours for it") {
		t.Errorf("warnings\n%s", warnings)
	}
}

// TestUsersPatch: what the user's own patch does to a field comes last.
func TestUsersPatch(t *testing.T) {
	s := newSite(t, operator("apiVersion: example.com/v1\nkind: Broker\nmetadata: {name: b}\nspec: {image: 'quay.io/o/operator:1'}\n"))
	s.write("overlays/midstream/kustomization.yaml", "resources: [../../base]\npatches:\n# mine\n- patch: '{apiVersion: example.com/v1, kind: Broker, metadata: {name: b}, spec: {image: mine}}'\n")
	s.rewrite()
	if got := s.values()["Broker b/spec/image"]; got != "mine" {
		t.Errorf("it is %s", got)
	}
	if text := s.kustomization(); !strings.Contains(text, "# mine\n") {
		t.Errorf("the comment is gone:\n%s", text)
	}
}

// TestStaleMidstream: a base that changed since is not built with the images of before.
func TestStaleMidstream(t *testing.T) {
	broker := func(image string) map[string]string {
		return operator("apiVersion: example.com/v1\nkind: Broker\nmetadata: {name: b}\nspec: {args: [x, '--image=" + image + "']}\n")
	}
	s := newSite(t, broker("quay.io/o/a:1"))
	s.rewrite()
	for name, text := range broker("quay.io/o/a:2") {
		s.write("base/"+name, text)
	}
	if _, err := new(rewrite.Stage).Build(t.Context(), s.plan.Dir); err == nil || !strings.Contains(err.Error(), "/spec/args/1") {
		t.Errorf("error %v", err)
	}
	s.rewrite()
	if got := s.values()["Broker b/spec/args/1"]; got != "--image="+through+"quay.io/o/a:2" {
		t.Errorf("it is %s", got)
	}
}
