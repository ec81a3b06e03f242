// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// operators is a base after real operators': PRIVATE is a repository that wants credentials, OPEN one that does
// not.
const operators = `apiVersion: apps/v1
kind: Deployment
metadata: {name: operator, namespace: system}
spec:
  selector: {matchLabels: {app: operator}}
  template:
    metadata: {labels: {app: operator}}
    spec:
      containers:
      - name: operator
        image: PRIVATE:v1
        args: [--acme-http01-solver-image=PRIVATE:v2, -entrypoint-image, PRIVATE:v3, --leader-elect]
        env:
        - {name: RELATED_IMAGE_BROKER, value: PRIVATE:v4}
        - {name: OPEN_IMAGE, value: OPEN:v1}
        - name: KAFKA_IMAGES
          value: |
            3.7.0=PRIVATE:v5
            3.8.0=PRIVATE:v6
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web, namespace: shop}
spec:
  replicas: 5000000000
  template:
    spec:
      imagePullSecrets: [{name: mine}]
      containers: [{name: web, image: "PRIVATE:v1"}, {name: open, image: "OPEN:v1"}]
---
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {template: {spec: {containers: [{image: "PRIVATE:v1"}]}}}
---
apiVersion: example.com/v1
kind: Broker
metadata: {name: main, namespace: shop}
spec: {version: "1.0", image: "PRIVATE:v7", sidecars: [{image: "OPEN:v1"}, {image: "PRIVATE:v8"}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: config, namespace: system}
data:
  queue-sidecar-image: PRIVATE:v9
  config.json: '{"image" : "PRIVATE:v10", "n": 1}'
`

// TestOperators: the real kubectl builds every name as it should be, and nothing else is changed.
func TestOperators(t *testing.T) {
	t.Parallel()
	program := harness.Tool(t, "registry")
	private := stock(t, harness.Distribution{Program: program, Basic: true}.Start(t))
	open := stock(t, harness.Distribution{Program: program}.Start(t))
	p := newPlace(t)
	license := p.file("license.yaml", customer)
	p.file("base/all.yaml", strings.NewReplacer("PRIVATE", private, "OPEN", open).Replace(operators))
	host, repository, _ := strings.Cut(private, "/")
	rewrite := []string{"lsp", "rewrite", "--base", "base", "--license-file", license, "--proxy-domain", "proxy.example.com", "--alias", host + "=vendor"}
	_, said := p.run("", "kubectl", rewrite...)
	if want := "ConfigMap config in namespace system: data[config.json]: " + private + ":v10 stays: it is part of a text"; !strings.Contains(said, want) {
		t.Errorf("nothing is said of the text:\n%s", said)
	}
	p.run("", "kubectl", append(slices.Clone(rewrite), "--in-text")...)
	built, _ := p.run("", "kubectl", "kustomize", "overlays/midstream")
	before := p.tree()
	p.run("", "kubectl", append(slices.Clone(rewrite), "--in-text")...)
	if diff := cmp.Diff(before, p.tree()); diff != "" {
		t.Errorf("the second run changes something:\n%s", diff)
	}

	want := strings.NewReplacer("PRIVATE", through+"vendor/"+repository, "OPEN", open,
		"imagePullSecrets: [{name: mine}]", "imagePullSecrets: [{name: mine}, {name: my-kots-app-registry}]",
		"containers: [{image:", "imagePullSecrets: [{name: my-kots-app-registry}], containers: [{image:",
		"      containers:\n      - name: operator", "      imagePullSecrets: [{name: my-kots-app-registry}]\n      containers:\n      - name: operator",
	).Replace(operators)
	if diff := cmp.Diff(sorted(t, want), sorted(t, built)); diff != "" {
		t.Errorf("built by kubectl (-want +got):\n%s", diff)
	}
}

// sorted are the objects of a stream with the same form for the same content, without the pull Secrets.
func sorted(t *testing.T, stream string) []string {
	t.Helper()
	var all []string
	for _, doc := range strings.Split(stream, "\n---\n") {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(doc+"\n"), &object); err != nil {
			t.Fatal(err)
		}
		text, err := json.MarshalIndent(object, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if object["kind"] != "Secret" {
			all = append(all, string(text))
		}
	}
	slices.Sort(all)
	return all
}
