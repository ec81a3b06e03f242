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

// mayImport is who may import whom among the packages of the serving path. A package that is not listed, such as one that only
// puts others together, may import what it likes; none of those listed may import it.
func mayImport() map[string][]string {
	return map[string][]string{
		// Facts about the protocol and nothing else.
		"body": {}, "challenge": {}, "errcode": {}, "keyfile": {}, "link": {}, "keychain": {}, "session": {"keyfile"}, "ticket": {"keyfile"},
		"route": {"errcode"},
		// One registry; knows no door and no request of a client.
		"upstream": {"body", "challenge", "keychain"},
		// One request; knows no door.
		"access": {"errcode"},
		"engine": {"access", "body", "errcode", "link", "route", "session", "upstream"},
		// What door B knows; not where it is from.
		"catalog": {"upstream"},
		// Door A.
		"source":    {"access", "engine", "errcode", "handshake", "route", "upstream"},
		"handshake": {"errcode", "upstream"},
		// Door B.
		"origin": {}, "throttle": {}, "pull": {},
		"images": {"access", "catalog", "engine", "errcode", "origin", "pull", "route", "throttle", "ticket", "upstream"},
		// The customer's side of door B.
		"imageref": {}, "podimages": {}, "privacy": {}, "stage": {},
		"appbase":   {"customerlicense", "imageref", "podimages", "stage"},
		"midstream": {"appbase", "customerlicense", "imageref", "podimages", "privacy", "stage"},
		// Beside the path.
		"check": {"handshake", "upstream"}, "metrics": {"access", "pull"}, "server": {}, "certificate": {"filewatch"}, "embedded": {},
	}
}

// mustNotKnow is what a package must not depend on, however indirectly: the serving path forwards, and others know where its settings,
// credentials and numbers come from.
func mustNotKnow() map[string][]string {
	outside := []string{
		"k8s.io/", "sigs.k8s.io/", "github.com/aws/", "github.com/Azure/", "cloud.google.com/", "google.golang.org/", "golang.org/x/oauth2",
		"github.com/docker/", "github.com/google/go-containerregistry", "github.com/prometheus/", "gopkg.in/yaml", "go.yaml.in/", "github.com/goccy/go-yaml", "github.com/spf13/",
	}
	return map[string][]string{
		"source":   append(outside, internalPath+"images", internalPath+"catalog", internalPath+"ticket"),
		"images":   append(outside, internalPath+"source", internalPath+"settings", internalPath+"live", internalPath+"imageproxy", internalPath+"objects"),
		"catalog":  append(outside, internalPath+"imageproxy", internalPath+"objects"),
		"imageref": {"k8s.io/", "sigs.k8s.io/", "net/http/httputil", "go.yaml.in/"},
		"privacy":  {"k8s.io/", "sigs.k8s.io/", "go.yaml.in/", "github.com/spf13/"},
		"engine":   append(outside, internalPath+"source", internalPath+"handshake", internalPath+"images"),
		"upstream": append(outside, internalPath+"errcode", internalPath+"route"),
		"server":   append(outside, internalPath+"engine", internalPath+"upstream"),
		"route":    append(outside, "net/http/httputil"),
		// The server knows hashes of license ids; whoever makes licenses is elsewhere, and what keeps them never sees an id.
		"proxy":    {internalPath + "licenses", internalPath + "customerlicense", internalPath + "pulls"},
		"licenses": {internalPath + "customerlicense"},
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
	for name, allowed := range mayImport() {
		p, ok := all[name]
		if !ok {
			t.Errorf("package %s is in the table, and nowhere else", name)
		}
		for _, imported := range p.Imports {
			if short, ours := strings.CutPrefix(imported, internalPath); ours && !slices.Contains(allowed, short) {
				t.Errorf("%s must not import %s", name, short)
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

// TestTestSupportIsForTests: no package that is built into a binary imports it.
func TestTestSupportIsForTests(t *testing.T) {
	support := []string{internalPath + "registrytest", internalPath + "proxytest", internalPath + "kubetest"}
	for name, p := range packages(t) {
		if slices.Contains(support, p.ImportPath) {
			continue
		}
		for _, imported := range p.Imports {
			if slices.Contains(support, imported) {
				t.Errorf("%s imports %s", name, imported)
			}
		}
	}
}
