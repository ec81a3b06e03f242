// SPDX-License-Identifier: Apache-2.0

package internal_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const internalPath = "github.com/local-source-proxy/local-source-proxy/src/internal/"

// mayImport is the drawing of src/README.md: which packages of internal each package may import. Every
// package is listed, the doubles in testkit included, so a new arrow or a new package is a change of this
// table.
func mayImport() map[string][]string {
	return map[string][]string{
		// Facts about the protocol and nothing else.
		"oci": {}, "diagnosis": {}, "keyfile": {}, "singleflight": {}, "socket": {}, "version": {},
		"session": {"keyfile"},
		// One registry; knows no side and no request of a client.
		"keychain": {"singleflight"}, "keychain/dockerconfig": {"keychain"}, "keychain/ambient": {"keychain"},
		"upstream": {"keychain", "oci", "singleflight", "socket"},
		// One request; knows no side.
		"settings/filewatch": {},
		"httpserver":         {"oci", "settings/filewatch", "socket"},
		"engine":             {"httpserver", "oci", "session", "upstream"},
		"preflight":          {"diagnosis", "oci", "upstream"},
		"frontproxy":         {},
		"apiservice":         {"frontproxy", "kube"},
		// The source proxy.
		"source": {"engine", "frontproxy", "httpserver", "oci", "preflight", "singleflight", "upstream"},
		// The image proxy, and what it knows of licenses; not where it is from.
		"license/catalog":          {"oci", "upstream"},
		"imageproxy/cache":         {"engine", "oci", "singleflight", "upstream"},
		"imageproxy/cache/storage": {"imageproxy/cache"},
		"imageproxy":               {"engine", "httpserver", "imageproxy/cache", "keyfile", "license/catalog", "oci", "singleflight", "upstream"},
		// Where settings and licenses come from.
		"settings/strictyaml": {},
		"license/v1alpha1":    {"oci", "settings/strictyaml"},
		"kube":                {"keyfile", "license/v1alpha1"},
		"settings":            {"kube", "oci", "settings/filewatch", "settings/strictyaml"},
		"license/store": {
			"keychain", "keychain/ambient", "keychain/dockerconfig", "kube", "license/catalog", "license/v1alpha1",
			"settings/filewatch", "upstream",
		},
		"httpserver/metrics": {"httpserver", "imageproxy", "imageproxy/cache", "license/catalog", "oci"},
		"proxy": {
			"apiservice", "diagnosis", "engine", "httpserver", "httpserver/metrics", "imageproxy", "imageproxy/cache", "imageproxy/cache/storage", "keychain", "keychain/ambient",
			"keychain/dockerconfig", "keyfile", "kube", "license/catalog", "license/store", "oci", "preflight", "session", "settings", "settings/filewatch", "source", "upstream",
		},
		"proxy/command": {"diagnosis", "preflight", "proxy", "version"},
		// Writes the reference pages; in neither program.
		"reference": {"oci", "plugin/command", "proxy/command"},
		// kubectl-lsp.
		"plugin/apiserver": {}, "plugin/pack": {}, "plugin/workload": {}, "plugin/support": {},
		"plugin/push":     {"plugin/apiserver", "plugin/doctor"},
		"plugin/doctor":   {"diagnosis", "plugin/apiserver"},
		"plugin/registry": {"plugin/apiserver"},
		"plugin/license":  {"license/v1alpha1", "oci", "settings/strictyaml"},
		"plugin/rewrite":  {"oci", "plugin/license", "settings/strictyaml"},
		"plugin/mirror":   {"oci", "plugin/license"},
		"plugin/command": {
			"diagnosis", "license/v1alpha1", "plugin/apiserver", "plugin/doctor", "plugin/license", "plugin/mirror", "plugin/pack", "plugin/push", "plugin/registry",
			"plugin/rewrite", "plugin/support", "plugin/workload", "version",
		},
		// Doubles, for tests alone.
		"testkit/registrytest": {}, "testkit/kubetest": {}, "testkit/lsptest": {},
		"testkit/proxytest": {
			"engine", "frontproxy", "httpserver", "keychain", "keyfile", "oci", "session", "source", "testkit/registrytest", "upstream",
		},
	}
}

// mustNotKnow is what a package must not depend on, however indirectly: the serving path forwards, and others
// know where its settings, credentials and numbers come from.
func mustNotKnow() map[string][]string {
	outside := []string{
		"k8s.io/", "sigs.k8s.io/", "github.com/aws/", "github.com/Azure/", "cloud.google.com/", "google.golang.org/", "golang.org/x/oauth2",
		"github.com/docker/", "github.com/google/go-containerregistry", "github.com/prometheus/", "gopkg.in/yaml", "go.yaml.in/", "github.com/goccy/go-yaml", "github.com/spf13/",
	}
	return map[string][]string{
		"source":          append(outside, internalPath+"imageproxy", internalPath+"license/"),
		"imageproxy":      append(outside, internalPath+"source", internalPath+"license/v1alpha1", internalPath+"license/store"),
		"license/catalog": outside,
		"engine":          outside,
		"upstream":        outside,
		"httpserver":      append(outside, internalPath+"engine", internalPath+"upstream"),
		"oci":             append(outside, "net/http/httputil"),
		// The server knows hashes of license ids; what makes ids is the plugin's.
		"proxy": {internalPath + "plugin/"}, "proxy/command": {internalPath + "plugin/"},
	}
}

type listed struct {
	ImportPath    string
	Imports, Deps []string
}

func packages(t *testing.T) map[string]listed {
	t.Helper()
	list, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Deps", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	all := map[string]listed{}
	decoder := json.NewDecoder(strings.NewReader(string(list)))
	for {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimPrefix(p.ImportPath, internalPath)] = p
	}
}

func TestWhoMayImportWhom(t *testing.T) {
	all := packages(t)
	drawn := mayImport()
	for name := range all {
		if _, ok := drawn[name]; !ok && name != strings.TrimSuffix(internalPath, "/") {
			t.Errorf("package %s is not in the table", name)
		}
	}
	for name, allowed := range drawn {
		p, ok := all[name]
		if !ok {
			t.Errorf("package %s is in the table, and nowhere else", name)
		}
		for _, imported := range p.Imports {
			if short, ours := strings.CutPrefix(imported, internalPath); ours && !slices.Contains(allowed, short) {
				t.Errorf("%s must not import %s", name, short)
			}
		}
		for _, short := range allowed {
			if !slices.Contains(p.Imports, internalPath+short) {
				t.Errorf("%s does not import %s: take it out of the table", name, short)
			}
		}
	}
}

func TestWhoMustNotKnowWhat(t *testing.T) {
	all := packages(t)
	for name, forbidden := range mustNotKnow() {
		for _, dependency := range all[name].Deps {
			if slices.ContainsFunc(forbidden, func(prefix string) bool { return strings.HasPrefix(dependency, prefix) }) {
				t.Errorf("%s must not depend on %s", name, dependency)
			}
		}
	}
}

// TestDoublesAreForTests: no package outside of testkit imports one of it.
func TestDoublesAreForTests(t *testing.T) {
	for name, p := range packages(t) {
		if strings.HasPrefix(name, "testkit/") {
			continue
		}
		for _, imported := range p.Imports {
			if strings.HasPrefix(imported, internalPath+"testkit/") {
				t.Errorf("%s imports %s", name, imported)
			}
		}
	}
}
