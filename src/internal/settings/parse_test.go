// SPDX-License-Identifier: Apache-2.0

package settings_test

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/settings"
)

func TestParseTakesEveryKey(t *testing.T) {
	data, err := os.ReadFile("testdata/every-key.yml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := settings.Parse("every-key.yml", data)
	if err != nil {
		t.Fatal(err)
	}
	want := settings.Values{
		Repository:   "registry.example.com/team/source",
		PushSecret:   settings.PushSecret{Name: "push", Namespace: "secrets", CreateExport: true, AWSIAMRole: "arn:aws:iam::1:role/push"},
		PullSecret:   settings.PullSecret{Name: "pull", Namespace: "secrets", CreateExport: true, AWSIAMRole: "arn:aws:iam::1:role/pull", ToNamespaces: []string{"dev"}},
		RBACSubjects: []settings.Subject{{Kind: "Group", Name: "developers", APIGroup: "rbac.authorization.k8s.io"}, {Kind: "ServiceAccount", Name: "ci", Namespace: "builds"}},
		ProxyConfiguration: settings.ProxyConfiguration{
			Replicas: 2, Limits: settings.Limits{CPU: "1", Memory: "100Mi"},
		},
		CACertData:             "own\n",
		PlainHTTP:              true,
		TokenRealms:            []string{"auth.example.net"},
		KubernetesDistribution: "openshift",
		KubernetesVersion:      "1.34",
		NamespacedAPI:          settings.NamespacedAPI{Enabled: true, Tenancy: "tags", MetricsByNamespace: true, CreateClusterResources: true},
		ServiceProxy:           settings.ServiceProxy{Enabled: true},
		AllowPull:              true,
		AllowDelete:            true,
		AllowSubRepositories:   true,
		NetworkPolicy: settings.NetworkPolicy{
			Enabled: true, IngressCIDRs: []string{"10.0.0.0/8"}, AdminCIDRs: []string{"198.51.100.0/24"},
			Egress: settings.Egress{Enabled: true, CIDRs: []string{"0.0.0.0/0"}, ExceptCIDRs: []string{"169.254.0.0/16"}},
		},
		ImageProxy: settings.ImageProxy{
			Enabled: true, CreateCRDs: true, Replicas: 3, Limits: settings.Limits{CPU: "2", Memory: "256Mi"},
			RegistrySecrets: []string{"quay-pull"}, ExternalURL: "https://images.example.com", Domains: []string{"images.example.com"}, TLSSecret: "images-tls",
			Service:           settings.Service{Type: "NodePort", Annotations: map[string]any{"a": "1"}},
			Ingress:           settings.Ingress{Enabled: true, ClassName: "nginx", Annotations: map[string]any{"b": "2"}},
			Cache:             settings.Cache{Enabled: true, Storage: "images", Size: "20Gi", Stale: "0", Strict: true, Secret: "keys"},
			TerminateOnRevoke: true, ConcurrentPulls: 256, TrustedProxies: []string{"10.244.0.0/16"},
		},
		Monitoring: settings.Monitoring{PrometheusRule: true, GrafanaDashboard: true, ScrapeFrom: settings.ScrapeFrom{Namespace: "monitoring", PodLabels: map[string]any{"c": "3"}}},
		Shared: settings.Shared{
			ImageRegistry: settings.ImageRegistry{ProjectPath: "registry.example.com/platform", Secret: settings.SecretRef{Name: "platform", Namespace: "platform"}},
			CACertData:    "theirs\n",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

func TestParseTakesWhatMeansNothing(t *testing.T) {
	for name, data := range map[string]string{
		"no bytes":          "",
		"a comment":         "#@data/values\n---\n# nothing\n",
		"null":              "null\n",
		"empty mapping":     "{}\n",
		"keys without more": "repository:\npush_secret:\nimage_proxy:\nrbac_subjects_for_proxy_access:\n",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := settings.Parse("values.yml", []byte(data))
			if diff := cmp.Diff(settings.Values{}, got); err != nil || diff != "" {
				t.Errorf("error %v, values (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestParseFollowsAliases(t *testing.T) {
	got, err := settings.Parse("values.yml", []byte("push_secret: &s {name: a, namespace: b}\npull_secret: *s\n"))
	if err != nil || got.PullSecret.Name != "a" {
		t.Errorf("pull secret %+v, error %v", got.PullSecret, err)
	}
}

func TestParseErrors(t *testing.T) {
	for name, c := range map[string]struct{ data, want string }{
		"misspelt":                     {"repositry: x", `v.yml: line 1: repositry: unknown key: did you mean repository?`},
		"misspelt below":               {"push_secret:\n  nmae: x", `v.yml: line 2: push_secret.nmae: unknown key: did you mean name?`},
		"camel case":                   {"caCertData: x", `v.yml: line 1: caCertData: unknown key: did you mean ca_cert_data?`},
		"dashes":                       {"\n\nallow-pull: true", `v.yml: line 3: allow-pull: unknown key: did you mean allow_pull?`},
		"nothing near":                 {"network_policy: {whatever: 1}", `v.yml: line 1: network_policy.whatever: unknown key: remove it, known keys are admin_cidrs, egress, enabled, ingress_cidrs`},
		"platform's file":              {"local_source_proxy: {}", `v.yml: line 1: local_source_proxy: unknown key: this file holds the package's own values: move the keys below it to the top level`},
		"unprintable":                  {`"a\nb": 1`, `v.yml: line 1: "a\nb": unknown key: remove it, known keys are allow_delete, allow_pull, allow_sub_repositories, ca_cert_data, create_namespace, image_proxy, image_pull_secret, kubernetes_distribution, kubernetes_version, monitoring, namespaced_api, network_policy, plain_http, proxy_configuration, pull_secret, push_secret, rbac_subjects_for_proxy_access, repository, service_proxy, shared, token_realms`},
		"in a list":                    {"rbac_subjects_for_proxy_access:\n- kind: User\n  api_group: x", `v.yml: line 3: rbac_subjects_for_proxy_access[0].api_group: unknown key: did you mean apiGroup?`},
		"number for text":              {"kubernetes_version: 1.34", `v.yml: line 1: kubernetes_version: expected text, found a number: put it in quotes`},
		"mapping for text":             {"repository: {a: b}", `v.yml: line 1: repository: expected text, found a mapping of keys: correct the value`},
		"text for bool":                {"allow_pull: maybe", `v.yml: line 1: allow_pull: expected true or false, found text: correct the value`},
		"text for number":              {"proxy_configuration: {replicas: two}", `v.yml: line 1: proxy_configuration.replicas: expected a whole number, found text: correct the value`},
		"fraction for number":          {"proxy_configuration: {replicas: 1.5}", `v.yml: line 1: proxy_configuration.replicas: expected a whole number, found a number: correct the value`},
		"text for list":                {"network_policy: {ingress_cidrs: 10.0.0.0/8}", `v.yml: line 1: network_policy.ingress_cidrs: expected a list, found text: correct the value`},
		"list for mapping":             {"push_secret: [a]", `v.yml: line 1: push_secret: expected a mapping of keys, found a list: correct the value`},
		"text for all":                 {"hello", `v.yml: line 1: expected a mapping of keys, found text: correct the value`},
		"bool for quantity":            {"proxy_configuration: {limits: {cpu: true}}", `v.yml: line 1: proxy_configuration.limits.cpu: expected text, found true or false: put it in quotes`},
		"misspelt for the image proxy": {"image_proxy: {ingres: {}}", `v.yml: line 1: image_proxy.ingres: unknown key: did you mean ingress?`},
		"opaque, but no map":           {"image_proxy: {service: {annotations: true}}", `v.yml: line 1: image_proxy.service.annotations: expected a mapping of keys, found true or false: correct the value`},
		"wrong type in shared":         {"shared: {ca_cert_data: 2001-01-01}", `v.yml: line 1: shared.ca_cert_data: expected text, found a date: put it in quotes`},
		"twice":                        {"repository: a\nrepository: b", `v.yml: line 2: repository: the key is already on line 1: keep one of them`},
		"twice where opaque":           {"image_proxy: {service: {annotations: {\n  a: 1,\n  a: 2}}}", `v.yml: line 3: is not valid YAML: mapping key "a" already defined at line 2: correct the YAML`},
		"merge key":                    {"push_secret: &s {name: a}\npull_secret: {<<: *s}", `v.yml: line 2: pull_secret: a key that is not a plain word: write every key out, without << and *`},
		"tab":                          {"a:\n\tb: c", `v.yml: line 2: is not valid YAML: found character that cannot start any token: correct the YAML`},
		"an open brace":                {"repository: a\nallow_pull: true\nca_cert_data: {\nplain_http: true\n", `v.yml: line 3: is not valid YAML: did not find expected ',' or '}': correct the YAML`},
		"two documents":                {"repository: a\n---\nrepository: b\n", `v.yml: line 2: a second YAML document: keep all values in one`},
		"two defects": {"plain_htp: true\nallow_pull: []", "v.yml: line 1: plain_htp: unknown key: did you mean plain_http?\n" +
			"v.yml: line 2: allow_pull: expected true or false, found a list: correct the value"},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := settings.Parse("v.yml", []byte(c.data))
			if err == nil {
				t.Fatalf("no error, values %+v", v)
			}
			if diff := cmp.Diff(c.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

// A platform keeps more below shared than we know, passwords among it.
func TestParseIgnoresWhatElseIsShared(t *testing.T) {
	_, err := settings.Parse("v.yml", []byte("shared: {ingress_domain: x, image_registry: {username: u, password: p}}"))
	if err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "repository: a/b", "a: &a [*a]", "push_secret: &s {name: *s}", "<<: {}", "? [a]\n: b", "image_proxy: &x {y: *x}",
		"proxy_configuration: {replicas: 0x7fffffffffffffffff}", "\"\\u2028\": 1", "a: !!binary x", "--- a\n--- b", "{{}: {}}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := settings.Parse("place", data)
		if err == nil {
			_ = v.Resolve("")
			return
		}
		for line := range strings.SplitSeq(err.Error(), "\n") {
			if !strings.HasPrefix(line, "place: ") {
				t.Errorf("a line that names no place: %q", line)
			}
		}
		if _, ok := errors.AsType[*settings.Error](err); !ok {
			t.Errorf("not a settings.Error: %v", err)
		}
	})
}

// TestBooleansInQuotes are text, every one of them, to the server as to ytt.
func TestBooleansInQuotes(t *testing.T) {
	var walk func(typ reflect.Type, above string)
	seen := 0
	walk = func(typ reflect.Type, above string) {
		for i := range typ.NumField() {
			field := typ.Field(i)
			key, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
			switch field.Type.Kind() {
			case reflect.Struct:
				walk(field.Type, above+key+": {")
			case reflect.Bool:
				seen++
				for _, word := range []string{"true", "yes", "on", "y", "false", "no", "True"} {
					for _, quote := range []string{`"`, `'`} {
						document := above + key + ": " + quote + word + quote + strings.Repeat("}", strings.Count(above, "{"))
						if _, err := settings.Parse("f", []byte(document)); err == nil {
							t.Errorf("%s is taken", document)
						}
					}
				}
			}
		}
	}
	walk(reflect.TypeFor[settings.Values](), "")
	if seen < 10 {
		t.Errorf("%d booleans were found", seen)
	}
}
