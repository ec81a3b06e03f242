// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// What the documentation offers beside values fits the manifests of today.
func TestExamplesApply(t *testing.T) {
	cases := map[string]func(*testing.T, []object) bool{
		"gke-workload-identity.yml": func(t *testing.T, all []object) bool {
			return find(t, all, namespace+"/ServiceAccount/proxy-manager").text("metadata", "annotations", "iam.gke.io/gcp-service-account") != ""
		},
		"azure-workload-identity.yml": func(t *testing.T, all []object) bool {
			account := find(t, all, namespace+"/ServiceAccount/proxy-manager")
			return account.text("metadata", "annotations", "azure.workload.identity/client-id") != "" &&
				deployment(t, all).Spec.Template.Labels["azure.workload.identity/use"] == "true"
		},
		"image-proxy-eks-role.yml": func(t *testing.T, all []object) bool {
			return find(t, all, namespace+"/ServiceAccount/image-proxy").text("metadata", "annotations", "eks.amazonaws.com/role-arn") != ""
		},
		"image-proxy-objects.yml": func(t *testing.T, all []object) bool {
			held := definitions(t)
			for _, id := range []string{"/ExternalRegistry/quay", "/License/acme"} {
				o := find(t, all, namespace+id)
				if errs := refused(t, held[o.text("kind")], o); len(errs) > 0 {
					t.Errorf("%s: %v", o.id(), errs.ToAggregate())
				}
			}
			return true
		},
		"image-proxy-gateway-http.yml": func(t *testing.T, all []object) bool { return leads(t, all, "HTTPRoute", "HTTPS", "Terminate") },
		"image-proxy-gateway-tls.yml":  func(t *testing.T, all []object) bool { return leads(t, all, "TLSRoute", "TLS", "Passthrough") },
		// The package's own ClusterRole has no such verb.
		"namespaced-delete.yml": func(t *testing.T, all []object) bool {
			role := decode[rbacv1.ClusterRole](t, find(t, all, "/ClusterRole/local-source-proxy-delete"))
			return slices.Equal(role.Rules[0].Verbs, []string{"delete"}) && slices.Equal(role.Rules[0].Resources, []string{"sources/proxy"}) &&
				slices.Equal(role.Rules[0].APIGroups, []string{apiGroup}) && role.Labels["rbac.authorization.k8s.io/aggregate-to-admin"] == "true"
		},
		"pod-monitor.yml": func(t *testing.T, all []object) bool {
			monitor := find(t, all, namespace+"/PodMonitor/local-source-proxy")
			spec := decode[struct {
				Selector            metav1.LabelSelector `json:"selector"`
				PodMetricsEndpoints []struct {
					Port string `json:"port"`
				} `json:"podMetricsEndpoints"`
			}](t, monitor.at("spec"))
			selector, err := metav1.LabelSelectorAsSelector(&spec.Selector)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range deployments(t, all) {
				ports := d.Spec.Template.Spec.Containers[0].Ports
				if !selector.Matches(labels.Set(d.Spec.Template.Labels)) || ports[len(ports)-1].Name != spec.PodMetricsEndpoints[0].Port {
					t.Errorf("it does not scrape %s", d.Name)
				}
			}
			return true
		},
	}
	examples, err := filepath.Glob(filepath.Join(root(t), "bundle/examples/*.yml"))
	if err != nil || len(examples) != len(cases) {
		t.Fatalf("examples %v, %v; want one for each of %d cases", examples, err, len(cases))
	}
	for _, example := range examples {
		way := "image_proxy.external_url=https://images.example.com"
		if filepath.Base(example) == "image-proxy-gateway-tls.yml" {
			way = "image_proxy.tls_secret=images-tls"
		}
		out := mustRun(t, command{args: []string{tool(t, "ytt"), "-f", productTemplates(t), "-f", example, "--data-value-yaml", "image_proxy.enabled=true", "--data-value", way}})
		if applied := cases[filepath.Base(example)]; applied == nil || !applied(t, objects(t, out)) {
			t.Errorf("%s changes nothing", example)
		}
	}
}

// The values in the documentation are right.
func TestDocumentedValuesAreAccepted(t *testing.T) {
	cases := map[string]string{
		"bundle/README.md":             productTemplates(t),
		"bundle/operating.md":          productTemplates(t),
		"bundle/namespaced-pushes.md":  productTemplates(t),
		"config/image-proxy.md":        productTemplates(t),
		"config/image-proxy-cache.md":  productTemplates(t),
		"package-repository/README.md": profileTemplates(t),
	}
	for file, templates := range cases {
		content, err := os.ReadFile(filepath.Join(root(t), file))
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		blocks := strings.Split(string(content), "```yaml\n")[1:]
		if len(blocks) == 0 {
			t.Errorf("%s shows no values", file)
		}
		for _, block := range blocks {
			text, _, found := strings.Cut(block, "```")
			if !found {
				t.Fatalf("%s: a block of values does not end", file)
			}
			if all := mustRender(t, templates, unindent(text)); len(all) == 0 {
				t.Errorf("%s: nothing is rendered from\n%s", file, text)
			}
		}
	}
}

// unindent takes the first line's indentation from every line.
func unindent(text string) string {
	indent := text[:len(text)-len(strings.TrimLeft(text, " "))]
	return strings.ReplaceAll("\n"+text, "\n"+indent, "\n")
}

// TestNoExampleAdmitsAnybody: no hash of a license id in the repository is that of a word that somebody could
// guess. Candidates are all words of all files, and what people type for a password.
func TestNoExampleAdmitsAnybody(t *testing.T) {
	files := strings.Split(strings.TrimSpace(mustRun(t, command{dir: root(t), args: []string{"git", "ls-files"}})), "\n")
	words := map[string]bool{
		"123456": true, "12345678": true, "qwerty": true, "letmein": true, "secret": true, "changeme": true, "hunter2": true, "foobar": true, "abc123": true,
	}
	hashes := map[string]string{}
	word, hash := regexp.MustCompile(`[A-Za-z0-9_.@-]+`), regexp.MustCompile(`\b[0-9a-f]{64}\b`)
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(root(t), file))
		if err != nil || bytes.ContainsRune(content, 0) {
			continue
		}
		for _, each := range word.FindAllString(string(content), -1) {
			words[each], words[strings.Trim(each, ".-_@")] = true, true
		}
		if strings.Contains(file, "testdata/") || strings.HasSuffix(file, "_test.go") || strings.HasSuffix(file, "go.sum") {
			continue
		}
		for _, each := range hash.FindAllString(string(content), -1) {
			hashes[each] = file
		}
	}
	if len(hashes) == 0 || len(words) < 10000 {
		t.Fatalf("%d hashes and %d words were found", len(hashes), len(words))
	}
	delete(words, "") // the definition refuses the hash of nothing
	for each := range words {
		for _, id := range []string{each, strings.ToLower(each), each + "\n"} {
			sum := sha256.Sum256([]byte(id))
			if file, known := hashes[hex.EncodeToString(sum[:])]; known {
				t.Errorf("%s has the hash of %q", file, id)
			}
		}
	}
}
