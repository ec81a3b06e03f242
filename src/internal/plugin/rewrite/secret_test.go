// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/rewrite"
)

func base64Field(secret *yaml.RNode) ([]byte, error) {
	node, err := secret.Pipe(yaml.Lookup("data", ".dockerconfigjson"))
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(node.YNode().Value)
}

func TestSecret(t *testing.T) {
	s := newSite(t, map[string]string{"pods.yaml": pod("p", "o/a:1"), "kots.yaml": `apiVersion: kots.io/v1beta1
kind: Application
metadata: {name: app}
spec: {additionalNamespaces: [shop, "*", main, shop], proxyRegistryDomain: other.example.com}
`})
	s.plan.Namespace = "main"
	s.rewrite()
	var namespaces []string
	for _, object := range s.build() {
		if object.GetKind() == "Application" {
			t.Error("an object for installers is applied")
		}
		if object.GetKind() != "Secret" {
			continue
		}
		namespaces = append(namespaces, object.GetNamespace())
		config, err := base64Field(object)
		var auths struct {
			Auths map[string]struct{ Username, Password string }
		}
		if err == nil {
			err = json.Unmarshal(config, &auths)
		}
		for _, domain := range []string{proxyDomain, "registry.example.com"} {
			if entry := auths.Auths[domain]; entry.Username != "LICENSE_ID" || entry.Password != "the-license-id" {
				t.Errorf("%s: %+v, %v", domain, entry, err)
			}
		}
		if object.GetName() != secretName || !strings.Contains(object.MustString(), "type: kubernetes.io/dockerconfigjson") || len(auths.Auths) != 2 {
			t.Errorf("Secret:\n%s", object.MustString())
		}
	}
	if diff := cmp.Diff([]string{"main", "shop"}, namespaces); diff != "" {
		t.Errorf("namespaces: %s", diff)
	}
	if info, err := os.Stat(filepath.Join(s.plan.Dir, rewrite.SecretFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the Secret's file: %v, %v", info.Mode(), err)
	}
	if all := strings.Join(s.plan.Warnings(), "\n"); !strings.Contains(all, `("*")`) || !strings.Contains(all, "Application app (kots.io/v1beta1) is for installers") {
		t.Errorf("warnings:\n%s", all)
	}
	if s.plan.Base.Application.Domain != "other.example.com" {
		t.Errorf("domain %q", s.plan.Base.Application.Domain)
	}
}

func TestWarnings(t *testing.T) {
	s := newSite(t, map[string]string{"pods.yaml": pod("p", "localhost:5000/a:1", "o/a:1") + `apiVersion: monitoring.coreos.com/v1
kind: Prometheus
metadata: {name: web}
spec: {containers: [{image: "o/a:1"}, {image: auto}]}
`, "values.yaml": "a: b\n"})
	s.rewrite()
	want := []string{
		"container runtimes refuse " + through + "localhost:5000/a, because of the port: give the registry an alias on the proxy, and say --alias localhost:5000=ALIAS",
		`Prometheus web: "auto" is no image, and stays as it is`,
		"Prometheus web uses o/a:1: its pull Secret is for you to add, rewrite does not know the kind",
		"values.yaml has no Kubernetes objects and is left out",
	}
	if diff := cmp.Diff(want, s.plan.Warnings()); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}
