// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/rewrite"
)

// operator is a base that has an image of quay.io/o in a container, so quay.io is a registry concerned, and
// whatever else a test adds.
func operator(more string) map[string]string {
	return map[string]string{"all.yaml": pod("p", "quay.io/o/operator:1") + more}
}

// values are the strings of the built objects, by object and path.
func (s *site) values() map[string]string {
	s.Helper()
	all := map[string]string{}
	var walk func(at string, node *yaml.Node)
	walk = func(at string, node *yaml.Node) {
		for i, child := range node.Content {
			switch node.Kind {
			case yaml.MappingNode:
				if i%2 == 1 {
					walk(at+"/"+node.Content[i-1].Value, child)
				}
			case yaml.SequenceNode:
				walk(at+"/"+string(rune('0'+i)), child)
			}
		}
		if node.Kind == yaml.ScalarNode {
			all[at] = node.Value
		}
	}
	for _, object := range s.build() {
		if object.GetName() != secretName {
			walk(object.GetKind()+" "+object.GetName(), object.YNode())
		}
	}
	return all
}

// fields are the outcomes by image and path.
func (s *site) fields() map[string]rewrite.Outcome {
	all := map[string]rewrite.Outcome{}
	for _, f := range s.plan.FieldFindings() {
		all[f.Path+" "+f.Image] = f.Outcome
	}
	return all
}

func (s *site) wantFields(want map[string]rewrite.Outcome) {
	s.Helper()
	if diff := cmp.Diff(want, s.fields()); diff != "" {
		s.Errorf("fields (-want +got):\n%s", diff)
	}
}

// TestFields: an image is found wherever it stands, and becomes what it should be.
func TestFields(t *testing.T) {
	const custom = "apiVersion: example.com/v1\nkind: Broker\nmetadata: {name: b}\nspec: "
	const config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: "
	const podOf = "apiVersion: v1\nkind: Pod\nmetadata: {name: q}\nspec: {containers: [{name: c, image: quay.io/o/operator:1, "
	tests := []struct{ name, object, at, become string }{
		{"a custom resource", custom + "{image: 'quay.io/o/a:1'}", "Broker b/spec/image", through + "quay.io/o/a:1"},
		{"with a digest", custom + "{image: 'quay.io/o/a@" + digest + "'}", "Broker b/spec/image", through + "quay.io/o/a@" + digest},
		{"with both", custom + "{image: 'quay.io/o/a:1@" + digest + "'}", "Broker b/spec/image", through + "quay.io/o/a:1@" + digest},
		{"without a tag", custom + "{brokerImage: quay.io/o/a}", "Broker b/spec/brokerImage", through + "quay.io/o/a"},
		{"deep", custom + "{a: [{b: [[{image: 'quay.io/o/a:1'}]]}]}", "Broker b/spec/a/0/b/0/0/image", through + "quay.io/o/a:1"},
		{"a registry of its own", custom + "{image: 'ghcr.io/o/a:1'}", "Broker b/spec/image", through + "ghcr.io/o/a:1"},
		{"in a field of another name", custom + "{runs: 'ghcr.io/o/a:1'}", "Broker b/spec/runs", through + "ghcr.io/o/a:1"},
		{"a list", custom + "{images: ['quay.io/o/a:1', 'quay.io/o/b']}", "Broker b/spec/images/1", through + "quay.io/o/b"},
		{"in an annotation", "apiVersion: v1\nkind: Namespace\nmetadata: {name: n, annotations: {sidecar.example.com/image: 'quay.io/o/a:1'}}", "Namespace n/metadata/annotations/sidecar.example.com/image", through + "quay.io/o/a:1"},
		{"a variable", podOf + "env: [{name: RELATED_IMAGE_A, value: 'quay.io/o/a:1'}]}]}", "Pod q/spec/containers/0/env/0/value", through + "quay.io/o/a:1"},
		{"a variable without a tag", podOf + "env: [{name: RELATED_IMAGE_A, value: quay.io/o/a}]}]}", "Pod q/spec/containers/0/env/0/value", through + "quay.io/o/a"},
		{"an argument", podOf + "args: ['--acme-http01-solver-image=quay.io/o/a:1']}]}", "Pod q/spec/containers/0/args/0", "--acme-http01-solver-image=" + through + "quay.io/o/a:1"},
		{"an argument of another name", podOf + "args: ['--reloader=quay.io/o/a:1']}]}", "Pod q/spec/containers/0/args/0", "--reloader=" + through + "quay.io/o/a:1"},
		{"an argument with a key", podOf + "args: ['--images=a=quay.io/o/a:1']}]}", "Pod q/spec/containers/0/args/0", "--images=a=" + through + "quay.io/o/a:1"},
		{"an argument behind its flag", podOf + "args: [-engine-image, quay.io/o/a]}]}", "Pod q/spec/containers/0/args/1", through + "quay.io/o/a"},
		{"a list of variables", podOf + "env: [{name: KAFKA_IMAGES, value: \"3.7=quay.io/o/a:3.7\\n3.8=quay.io/o/a:3.8\\n\"}]}]}", "Pod q/spec/containers/0/env/0/value", "3.7=" + through + "quay.io/o/a:3.7\n3.8=" + through + "quay.io/o/a:3.8\n"},
		{"data", config + "{image: 'quay.io/o/a:1'}", "ConfigMap c/data/image", through + "quay.io/o/a:1"},
		{"data with a line end", config + "{queue-sidecar-image: \"quay.io/o/a:1\\n\"}", "ConfigMap c/data/queue-sidecar-image", through + "quay.io/o/a:1\n"},
		{"data of a Secret", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {image: 'quay.io/o/a:1'}", "Secret s/stringData/image", through + "quay.io/o/a:1"},
		{"Docker Hub, an owner that is known", custom + "{runs: 'docker.io/o/a:1', image: 'd/a:1'}\n---\n" + podOf + "}, {name: d, image: d/b}]}", "Broker b/spec/image", through + "d/a:1"},
		{"an image of a container without its tag", custom + "{image: d/b}\n---\n" + podOf + "}, {name: d, image: 'd/b:1'}]}", "Broker b/spec/image", through + "d/b"},
		{"an ephemeral container in a template", custom + "{template: {spec: {containers: [{name: c, image: quay.io/o/a}], ephemeralContainers: [{name: e, image: 'd/b:1'}]}}}", "Broker b/spec/template/spec/ephemeralContainers/0/image", through + "d/b:1"},
		{"an image volume in a template", custom + "{template: {spec: {containers: [{name: c, image: quay.io/o/a}], volumes: [{name: v, image: {reference: 'd/b:1'}}]}}}", "Broker b/spec/template/spec/volumes/0/image/reference", through + "d/b:1"},
		{"the default of a kind", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: brokers.example.com}\nspec: {group: example.com, names: {kind: Broker}, properties: {image: {type: string, description: 'such as quay.io/o/a:1', default: 'quay.io/o/a:1'}}}", "CustomResourceDefinition brokers.example.com/spec/properties/image/default", through + "quay.io/o/a:1"},
		{"a repository of prometheus-operator", "apiVersion: monitoring.coreos.com/v1\nkind: Prometheus\nmetadata: {name: p}\nspec: {baseImage: quay.io/o/a, version: v1}", "Prometheus p/spec/baseImage", through + "quay.io/o/a"},
		{"a repository of a chart", "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: h}\nspec: {values: {web: {image: {repository: quay.io/o/a, tag: v1}}}}", "HelmRelease h/spec/values/web/image/repository", through + "quay.io/o/a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, operator(tt.object+"\n"))
			s.rewrite()
			if got := s.values()[tt.at]; got != tt.become {
				t.Errorf("%s is %q, want %q\n%v", tt.at, got, tt.become, s.fields())
			}
			for _, warning := range s.plan.Warnings() {
				if !strings.HasPrefix(warning, "the Pods that are made of images") {
					t.Errorf("warning: %s", warning)
				}
			}
		})
	}
}

// TestNoFields: what only reads as an image is never asked about.
func TestNoFields(t *testing.T) {
	for _, text := range []string{
		"https://quay.io/o/a:1", "http://quay.io/o/a", "app.kubernetes.io/name", "example.com/v1", "github.com/o/a", "conf.d/a:1", "/etc/o/a:1", "o/a:8080", "redis:6379",
		"quay.io:443", "node.kubernetes.io/not-ready:NoExecute", "1.2/3:4", "sha256:" + strings.Repeat("a", 64), "10.0.0.1/24", "system:serviceaccount:o:a", "o/a", "auto", "Always",
		"registry.k8s.io/", "a.b.svc.cluster.local/x:y", "v1.2.3/a:1", "a b:c", "${REGISTRY}/o/a:1", "$(REGISTRY)/o/a:1", "o/a:1", "{{ .Values.registry }}/o/a:1", "${R}/o/a:${TAG}",
	} {
		s := newSite(t, map[string]string{"all.yaml": pod("p", "quay.io/x/operator:1", "redis:7") + "apiVersion: example.com/v1\nkind: Broker\nmetadata: {name: b}\nspec: {a: '" + text + "', b: '--x=" + text + "'}\n---\n" +
			"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: '" + text + "', b: 'x: " + text + " y'}\n"})
		s.rewrite()
		if got := s.fields(); len(got) > 0 {
			t.Errorf("%s is taken for an image: %v", text, got)
		}
	}
}
