// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	openapi "github.com/google/gnostic-models/openapiv2"
	"k8s.io/kube-openapi/pkg/util/proto"
	"k8s.io/kube-openapi/pkg/util/proto/validation"
)

// kubernetesVersions are the oldest one that the package supports, and a recent one.
var kubernetesVersions = []string{"v1.27.16", "v1.36.3"}

// apiSchema is the OpenAPI document of one release of Kubernetes, from its own module: what kubectl validates
// against.
type apiSchema struct {
	models proto.Models
	// kinds maps "apiVersion Kind" to the model's name.
	kinds map[string]string
}

func loadSchema(t *testing.T, version string) apiSchema {
	t.Helper()
	// Not in go.mod: one module file can name only one of the two, and its code is not wanted.
	out := mustRun(t, command{dir: t.TempDir(), args: []string{"go", "mod", "download", "-json", "k8s.io/kubernetes@" + version}})
	var module struct{ Dir string }
	if err := json.Unmarshal([]byte(out), &module); err != nil {
		t.Fatalf("parse the answer of go mod download: %v", err)
	}
	file := filepath.Join(module.Dir, "api/openapi-spec/swagger.json")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("read OpenAPI of Kubernetes %s: %v", version, err)
	}
	document, err := openapi.ParseDocument(content)
	if err != nil {
		t.Fatalf("parse %s: %v", file, err)
	}
	models, err := proto.NewOpenAPIData(document)
	if err != nil {
		t.Fatalf("read models of %s: %v", file, err)
	}
	schema := apiSchema{models: models, kinds: map[string]string{}}
	var definitions struct {
		Definitions map[string]struct {
			Kinds []struct{ Group, Version, Kind string } `json:"x-kubernetes-group-version-kind"`
		}
	}
	if err := json.Unmarshal(content, &definitions); err != nil {
		t.Fatalf("parse %s: %v", file, err)
	}
	for name, definition := range definitions.Definitions {
		for _, kind := range definition.Kinds {
			apiVersion := strings.TrimPrefix(kind.Group+"/"+kind.Version, "/")
			schema.kinds[apiVersion+" "+kind.Kind] = name
		}
	}
	return schema
}

// validate returns what kubectl would complain about: unknown fields, missing ones, wrong types.
func (s apiSchema) validate(o object) []error {
	kind := o.text("apiVersion") + " " + o.text("kind")
	name, ok := s.kinds[kind]
	if !ok {
		return []error{fmt.Errorf("%s is not a kind of this Kubernetes", kind)}
	}
	return validation.ValidateModel(map[string]any(o), s.models.LookupModel(name), o.id())
}

// ofOthers says that an object's kind belongs to a controller beside Kubernetes: a Carvel one, or the
// Prometheus operator. kapp's Config is for the deploying program alone.
func ofOthers(o object) bool {
	group, _, _ := strings.Cut(o.text("apiVersion"), "/")
	return strings.HasSuffix(group, "carvel.dev") || group == "kapp.k14s.io" || group == "monitoring.coreos.com"
}

func TestObjectsAreValidForKubernetes(t *testing.T) {
	rendered := map[string][]object{"profile": mustRender(t, profileTemplates(t), platformValues(t))}
	templates := productTemplates(t)
	for _, name := range goldenCases(t) {
		rendered[name] = mustRender(t, templates, caseValues(t, name))
	}
	for _, version := range kubernetesVersions {
		t.Run(version, func(t *testing.T) {
			schema := loadSchema(t, version)
			for name, all := range rendered {
				for _, o := range all {
					if ofOthers(o) {
						continue
					}
					for _, err := range schema.validate(o) {
						t.Errorf("%s: %s: %v", name, o.id(), err)
					}
				}
			}
			// The validation itself must be able to fail.
			broken := find(t, mustRender(t, templates, "{}"), namespace+"/Deployment/local-source-proxy")
			broken["spec"].(map[string]any)["replicaz"] = 1
			broken["spec"].(map[string]any)["replicas"] = "one"
			if errs := schema.validate(broken); len(errs) != 2 {
				t.Errorf("a Deployment with an unknown field and a wrong type: %v", errs)
			}
		})
	}
}

// The API of secretgen-controller as it is published: metadata, and one of these fields.
func TestSecretExchangeIsValid(t *testing.T) {
	fields := map[string][]string{
		"SecretExport": {"toNamespace", "toNamespaces"},
		"SecretImport": {"fromNamespace"},
	}
	templates := productTemplates(t)
	seen := map[string]bool{}
	for _, name := range goldenCases(t) {
		for _, o := range mustRender(t, templates, caseValues(t, name)) {
			allowed, ok := fields[o.text("kind")]
			if !ok {
				continue
			}
			if o.text("apiVersion") != "secretgen.carvel.dev/v1alpha1" {
				t.Errorf("%s: %s has apiVersion %s", name, o.id(), o.text("apiVersion"))
			}
			spec, _ := o.at("spec").(map[string]any)
			if len(spec) != 1 {
				t.Errorf("%s: %s: spec %v, want one field of %v", name, o.id(), spec, allowed)
			}
			for _, field := range allowed {
				if spec[field] != nil {
					seen[field] = true
				}
			}
		}
	}
	if len(seen) != 3 {
		t.Errorf("the cases show %v only", seen)
	}
}
