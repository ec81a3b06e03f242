// SPDX-License-Identifier: Apache-2.0

package workload_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/workload"
)

const (
	digest  = "@sha256:2222222222222222222222222222222222222222222222222222222222222222"
	pushed  = "registry.example.com/team/source:dev-app" + digest
	foreign = "registry.example.org/mine/app:main"
)

// parse reads the metadata and spec of a Workload; empty is none.
func parse(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	if text == "" {
		return nil
	}
	w := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte("apiVersion: carto.run/v1alpha1\nkind: Workload\n"+text), &w.Object); err != nil {
		t.Fatal(err)
	}
	return w
}

const head = "metadata: {name: app, namespace: dev"

var (
	fromProxy   = head + ", annotations: {local-source-proxy.apps.tanzu.vmware.com: old, mine: kept}}\nspec: {source: {image: old, subPath: sub}}"
	fromForeign = head + "}\nspec: {source: {image: '" + foreign + "@sha256:11'}}"
	fromGit     = head + "}\nspec: {source: {git: {url: https://git.example.com/a, ref: {branch: main, tag: v1}}, subPath: sub}}"
	fromImage   = head + "}\nspec: {image: prebuilt}"
	empty       = head + "}\nspec: {env: [{name: A, value: a}]}"
)

// TestBypass has a row for each rule of spec-local-source-proxy, "Bypass", and for each kind of Workload that
// they meet.
func TestBypass(t *testing.T) {
	local := workload.Request{LocalPath: "."}
	git := workload.Request{Git: workload.Git{URL: "https://git.example.com/b", Branch: "dev"}}
	const annotated = "annotations: {local-source-proxy.apps.tanzu.vmware.com: '" + pushed + "'"
	tests := []struct {
		name     string
		existing string
		request  workload.Request
		route    workload.Route
		to       string
		want     string // metadata and spec afterwards
	}{
		{
			"new Workload goes through the proxy", "", local, workload.ThroughProxy, "",
			head + ", labels: {apps.tanzu.vmware.com/workload-type: web}, " + annotated + "}}\nspec: {source: {image: '" + pushed + "'}}",
		},
		{
			"existing Workload with the annotation goes through the proxy", fromProxy, local, workload.ThroughProxy, "",
			head + ", " + annotated + ", mine: kept}}\nspec: {source: {image: '" + pushed + "', subPath: sub}}",
		},
		{
			"existing Workload without any source goes through the proxy", empty, local, workload.ThroughProxy, "",
			head + ", " + annotated + "}}\nspec: {env: [{name: A, value: a}], source: {image: '" + pushed + "'}}",
		},
		{
			"existing Workload from git has no source image and goes through the proxy", fromGit, local, workload.ThroughProxy, "",
			head + ", " + annotated + "}}\nspec: {source: {image: '" + pushed + "', subPath: sub}}",
		},
		{
			"existing Workload with a prebuilt image has no source image and goes through the proxy", fromImage, local, workload.ThroughProxy, "",
			head + ", " + annotated + "}}\nspec: {source: {image: '" + pushed + "'}}",
		},
		{
			"existing source image that the proxy did not set is pushed to", fromForeign, local, workload.Straight, foreign,
			head + "}\nspec: {source: {image: '" + foreign + digest + "'}}",
		},
		{
			"--source-image on a new Workload bypasses the proxy", "", workload.Request{LocalPath: ".", SourceImage: foreign}, workload.Straight, foreign,
			head + ", labels: {apps.tanzu.vmware.com/workload-type: web}}\nspec: {source: {image: '" + foreign + digest + "'}}",
		},
		{
			"--source-image moves away from the proxy and removes the annotation", fromProxy, workload.Request{LocalPath: ".", SourceImage: foreign}, workload.Straight, foreign,
			head + ", annotations: {mine: kept}}\nspec: {source: {image: '" + foreign + digest + "', subPath: sub}}",
		},
		{
			"--source-image without local source removes the annotation and pushes nothing", fromProxy, workload.Request{SourceImage: foreign}, workload.NoPush, "",
			head + ", annotations: {mine: kept}}\nspec: {source: {image: '" + foreign + "', subPath: sub}}",
		},
		{
			"git removes the annotation", fromProxy, git, workload.NoPush, "",
			head + ", annotations: {mine: kept}}\nspec: {source: {git: {url: https://git.example.com/b, ref: {branch: dev}}, subPath: sub}}",
		},
		{
			"a prebuilt image removes the annotation", fromProxy, workload.Request{Image: "prebuilt"}, workload.NoPush, "",
			head + ", annotations: {mine: kept}}\nspec: {image: prebuilt}",
		},
		{
			"a change without a source keeps annotation and source", fromProxy, workload.Request{Labels: []workload.Change{{Name: "a", Value: "b"}}}, workload.NoPush, "",
			head + ", labels: {a: b}, annotations: {local-source-proxy.apps.tanzu.vmware.com: old, mine: kept}}\nspec: {source: {image: old, subPath: sub}}",
		},
		{
			"a new git branch replaces the old reference", fromGit, workload.Request{Git: workload.Git{Branch: "next"}}, workload.NoPush, "",
			head + "}\nspec: {source: {git: {url: https://git.example.com/a, ref: {branch: next}}, subPath: sub}}",
		},
		{
			"git over a prebuilt image", fromImage, git, workload.NoPush, "",
			head + "}\nspec: {source: {git: {url: https://git.example.com/b, ref: {branch: dev}}}}",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			existing := parse(t, tt.existing)
			before := existing.DeepCopy()
			tt.request.Namespace, tt.request.Name = "dev", "app"
			plan, err := workload.Decide(existing, tt.request)
			if err != nil {
				t.Fatal(err)
			}
			if plan.Route != tt.route || plan.Destination != tt.to {
				t.Errorf("plan %+v, want route %d to %q", plan, tt.route, tt.to)
			}
			reference := ""
			switch plan.Route {
			case workload.ThroughProxy:
				reference = pushed
			case workload.Straight:
				reference = plan.Destination + digest
			}
			got, err := workload.Build(existing, tt.request, plan, reference)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(parse(t, tt.want).Object, got.Object); diff != "" {
				t.Errorf("Workload (-want +got):\n%s", diff)
			}
			if existing != nil && !cmp.Equal(before.Object, existing.Object) {
				t.Error("the existing object was changed")
			}
		})
	}
}

func TestConflictsAndGaps(t *testing.T) {
	tests := []struct {
		name     string
		existing string
		request  workload.Request
		want     error
	}{
		{"local and git", "", workload.Request{LocalPath: ".", Git: workload.Git{URL: "x"}}, workload.ErrConflict},
		{"local and image", "", workload.Request{LocalPath: ".", Image: "x"}, workload.ErrConflict},
		{"source image and git", "", workload.Request{SourceImage: "x", Git: workload.Git{Tag: "x"}}, workload.ErrConflict},
		{"source image and image", "", workload.Request{SourceImage: "x", Image: "y"}, workload.ErrConflict},
		{"branch without repository", "", workload.Request{Git: workload.Git{Branch: "x"}}, workload.ErrNoGit},
		{"branch over an image", fromProxy, workload.Request{Git: workload.Git{Branch: "x"}}, workload.ErrNoGit},
		{"repository without branch", "", workload.Request{Git: workload.Git{URL: "x"}}, workload.ErrNoRef},
		{"another repository keeps the branch", fromGit, workload.Request{Git: workload.Git{URL: "x"}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			existing := parse(t, tt.existing)
			plan, err := workload.Decide(existing, tt.request)
			if err == nil {
				_, err = workload.Build(existing, tt.request, plan, "")
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

func TestFields(t *testing.T) {
	existing := parse(t, head+", labels: {a: b, c: d}}\nspec: {env: [{name: A, valueFrom: {x: y}}, {name: B, value: b, other: kept}], params: [{name: p, value: {deep: true}}], source: {subPath: sub}}")
	none := ""
	got, err := workload.Build(existing, workload.Request{
		Labels:         []workload.Change{{Name: "a", Remove: true}, {Name: "e", Value: "f"}},
		Env:            []workload.Change{{Name: "A", Value: "1"}, {Name: "B", Value: "2"}, {Name: "C", Value: "3"}, {Name: "X", Remove: true}},
		Params:         []workload.Change{{Name: "p", Remove: true}},
		SubPath:        &none,
		ServiceAccount: new("builder"),
	}, workload.Plan{}, "")
	if err != nil {
		t.Fatal(err)
	}
	want := head + ", labels: {c: d, e: f}}\nspec: {serviceAccountName: builder, env: [{name: A, value: '1'}, {name: B, value: '2', other: kept}, {name: C, value: '3'}]}"
	if diff := cmp.Diff(parse(t, want).Object, got.Object); diff != "" {
		t.Errorf("Workload (-want +got):\n%s", diff)
	}
}

func TestDiff(t *testing.T) {
	existing := parse(t, head+", uid: u, resourceVersion: '7', managedFields: [{manager: x}]}\nspec: {source: {image: old}}\nstatus: {x: y}")
	got, err := workload.Diff(existing, parse(t, head+"}\nspec: {source: {image: new}}"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(got, "-    image: old\n+    image: new\n") || strings.Contains(got, "uid") || strings.Contains(got, "status") {
		t.Errorf("diff:\n%s", got)
	}
	if same, err := workload.Diff(existing, existing.DeepCopy()); err != nil || same != "" {
		t.Errorf("diff of the same: %q, %v", same, err)
	}
	if added, err := workload.Diff(nil, existing); err != nil || !strings.Contains(added, "+kind: Workload\n") {
		t.Errorf("diff of a new one: %q, %v", added, err)
	}
}

func FuzzParseChange(f *testing.F) {
	for _, s := range []string{"a=b", "a-", "=", "-", "a=b=c", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := workload.ParseChange(text)
		if err == nil && (c.Name == "" || c.Remove && c.Value != "") {
			t.Errorf("ParseChange(%q) = %+v", text, c)
		}
	})
}
