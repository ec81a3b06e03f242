// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"sigs.k8s.io/yaml"
)

// gatewayDefinitions are those of the Gateway API as it is published, by kind, the experimental ones too.
func gatewayDefinitions(t *testing.T) map[string]*apiextensions.CustomResourceDefinition {
	t.Helper()
	out := mustRun(t, command{dir: t.TempDir(), args: []string{"go", "mod", "download", "-json", "sigs.k8s.io/gateway-api@v1.3.0"}})
	var module struct{ Dir string }
	if err := json.Unmarshal([]byte(out), &module); err != nil {
		t.Fatalf("parse the answer of go mod download: %v", err)
	}
	found := map[string]*apiextensions.CustomResourceDefinition{}
	for _, name := range []string{"gateways", "httproutes", "tlsroutes"} {
		content, err := os.ReadFile(filepath.Join(module.Dir, "config/crd/experimental/gateway.networking.k8s.io_"+name+".yaml"))
		if err != nil {
			t.Fatalf("read a definition of the Gateway API: %v", err)
		}
		var definition map[string]any
		if err := yaml.Unmarshal(content, &definition); err != nil {
			t.Fatalf("parse the definition of %s: %v", name, err)
		}
		held := heldOf(t, definition)
		found[held.Spec.Names.Kind] = held
	}
	return found
}

// leads reports that an example's Gateway and route lead a customer's TLS to the image proxy's Service, and
// end it where the pods do not.
func leads(t *testing.T, all []object, kind, protocol, mode string) bool {
	t.Helper()
	held := gatewayDefinitions(t)
	gateway, route := find(t, all, namespace+"/Gateway/image-proxy"), find(t, all, namespace+"/"+kind+"/image-proxy")
	for _, o := range []object{gateway, route} {
		if errs := refused(t, held[o.text("kind")], o); len(errs) > 0 {
			t.Errorf("%s: %v", o.id(), errs.ToAggregate())
		}
		broken := object{"apiVersion": o["apiVersion"], "kind": o["kind"], "metadata": o["metadata"], "spec": map[string]any{"hostname": "a"}}
		if errs := refused(t, held[o.text("kind")], broken); len(errs) == 0 {
			t.Errorf("%s: an unknown field is accepted", o.id())
		}
	}
	type listeners struct {
		Listeners []struct {
			Name, Hostname, Protocol string
			TLS                      struct{ Mode string }
		}
	}
	type routed struct {
		ParentRefs []struct{ Name, SectionName string }
		Hostnames  []string
		Rules      []struct {
			BackendRefs []struct {
				Name string
				Port int32
			}
		}
	}
	listener, spec := loose[listeners](t, gateway.at("spec")).Listeners[0], loose[routed](t, route.at("spec"))
	port := decode[corev1.Service](t, find(t, all, namespace+"/Service/image-proxy")).Spec.Ports[0].Port
	if backend := spec.Rules[0].BackendRefs[0]; backend.Name != "image-proxy" || backend.Port != port {
		t.Errorf("%s leads to %+v, and the Service is at %d", kind, backend, port)
	}
	if parent := spec.ParentRefs[0]; parent.Name != "image-proxy" || parent.SectionName != listener.Name || !slices.Equal(spec.Hostnames, []string{listener.Hostname}) {
		t.Errorf("%s does not belong to the listener %+v: %+v", kind, listener, spec)
	}
	if listener.Protocol != protocol || listener.TLS.Mode != mode {
		t.Errorf("the listener is %+v", listener)
	}
	args := strings.Join(deployments(t, all)[1].Spec.Template.Spec.Containers[0].Args, " ")
	if mode == "Passthrough" {
		return port == 443 && strings.Contains(args, "--image-proxy-tls-cert=")
	}
	return port == 80 && strings.Contains(args, "--image-proxy-external-url=https://"+listener.Hostname)
}

// loose decodes the fields that a type has, and leaves the others.
func loose[T any](t *testing.T, value any) T {
	t.Helper()
	var typed T
	text, err := yaml.Marshal(value)
	if err == nil {
		err = yaml.Unmarshal(text, &typed)
	}
	if err != nil {
		t.Fatalf("decode as %T: %v", typed, err)
	}
	return typed
}

// TestWaysIn: each one that the guide shows is valid, and tells customers of an address with TLS, unless it
// says http.
func TestWaysIn(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(root(t), "config/image-proxy.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(content), "\n## Ways in")
	section, _, _ = strings.Cut(section, "\n## ")
	templates, schema, ways := productTemplates(t), loadSchema(t, kubernetesVersions[1]), map[string]bool{}
	for i, part := range strings.Split(section, "```yaml\n")[1:] {
		values, _, _ := strings.Cut(part, "```")
		all := mustRender(t, templates, values)
		for _, o := range all {
			if ofOthers(o) {
				continue
			}
			for _, err := range schema.validate(o) {
				t.Errorf("way %d: %s: %v", i, o.id(), err)
			}
		}
		args := strings.Join(deployments(t, all)[1].Spec.Template.Spec.Containers[0].Args, " ")
		external, service := strings.Contains(args, "--image-proxy-external-url=https://"), decode[corev1.Service](t, find(t, all, namespace+"/Service/image-proxy"))
		tls := strings.Contains(args, "--image-proxy-tls-cert=")
		if plain := strings.Contains(values, "external_url: http://"); !plain && !tls && !external || plain != strings.Contains(args, "external-url=http://") {
			t.Errorf("way %d: the server is told %s", i, args)
		}
		ingress := slices.ContainsFunc(all, func(o object) bool { return o.text("kind") == "Ingress" })
		if tls != (service.Spec.Ports[0].Port == 443) || tls && ingress {
			t.Errorf("way %d: TLS %t, Ingress %t, port %d", i, tls, ingress, service.Spec.Ports[0].Port)
		}
		ways[string(service.Spec.Type)] = true
	}
	if len(ways) != 3 {
		t.Errorf("the guide shows Services of %v", ways)
	}
}
