// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	definition "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

// definitions are the CustomResourceDefinitions by kind, as the API server holds them.
func definitions(t *testing.T) map[string]*apiextensions.CustomResourceDefinition {
	t.Helper()
	found := map[string]*apiextensions.CustomResourceDefinition{}
	for _, o := range mustRender(t, productTemplates(t), "image_proxy: {enabled: true, external_url: https://images.example.com}") {
		if o.text("kind") != "CustomResourceDefinition" {
			continue
		}
		held := heldOf(t, o)
		found[held.Spec.Names.Kind] = held
	}
	return found
}

// heldOf returns a definition as the API server holds it.
func heldOf(t *testing.T, definition map[string]any) *apiextensions.CustomResourceDefinition {
	t.Helper()
	scheme := runtime.NewScheme()
	install.Install(scheme)
	written := decode[apiextensionsv1.CustomResourceDefinition](t, definition)
	scheme.Default(&written)
	held := &apiextensions.CustomResourceDefinition{}
	if err := scheme.Convert(&written, held, nil); err != nil {
		t.Fatalf("%s: %v", written.Name, err)
	}
	// What the API server notes itself.
	held.Status.StoredVersions = []string{held.Spec.Versions[0].Name}
	return held
}

func TestDefinitionsAreAccepted(t *testing.T) {
	found := definitions(t)
	if len(found) != 2 {
		t.Fatalf("%d definitions", len(found))
	}
	for kind, held := range found {
		// Among it, the cost of the rules.
		for _, err := range definition.ValidateCustomResourceDefinition(t.Context(), held) {
			t.Errorf("%s: %v", kind, err)
		}
		if held.Spec.Subresources == nil || held.Spec.Subresources.Status == nil {
			t.Errorf("%s: without the subresource, the right to write a status would be one to write licenses", kind)
		}
	}
}

// refused is what the API server says to an object, asked to be strict, as kubectl asks.
func refused(t *testing.T, held *apiextensions.CustomResourceDefinition, object map[string]any) field.ErrorList {
	t.Helper()
	written := schemaOf(t, held, object["apiVersion"])
	structural, err := schema.NewStructural(written)
	if err != nil {
		t.Fatal(err)
	}
	validator, _, err := validation.NewSchemaValidator(written)
	if err != nil {
		t.Fatal(err)
	}
	// The API server reads whole numbers as such, and fills in defaults before it looks at rules.
	text, err := json.Marshal(object)
	if err == nil {
		object = nil
		err = json.Unmarshal(text, &object)
	}
	if err != nil {
		t.Fatal(err)
	}
	defaulting.Default(object, structural)
	var errs field.ErrorList
	for _, path := range pruning.PruneWithOptions(object, structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}) {
		errs = append(errs, field.Invalid(field.NewPath(path), nil, "unknown field"))
	}
	errs = append(errs, validation.ValidateCustomResource(nil, object, validator)...)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, structural, object)...)
	if len(errs) > 0 {
		return errs // rules are not for objects of another shape
	}
	rules, _ := cel.NewValidator(structural, true, celconfig.PerCallLimit).Validate(t.Context(), nil, structural, object, nil, celconfig.RuntimeCELCostBudget)
	return rules
}

// schemaOf returns the schema of a version, which is in another place where there is only one.
func schemaOf(t *testing.T, held *apiextensions.CustomResourceDefinition, apiVersion any) *apiextensions.JSONSchemaProps {
	t.Helper()
	for _, version := range held.Spec.Versions {
		switch {
		case apiVersion != held.Spec.Group+"/"+version.Name:
		case version.Schema != nil:
			return version.Schema.OpenAPIV3Schema
		default:
			return held.Spec.Validation.OpenAPIV3Schema
		}
	}
	t.Fatalf("%s has no version %v", held.Name, apiVersion)
	return nil
}

// The API server and the server judge alike: imageproxy's TestVerdicts has the other half.
func TestDefinitionsJudgeAsTheServer(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(root(t), "src/internal/license/v1alpha1/testdata/verdicts.yml"))
	if err != nil {
		t.Fatalf("read cases: %v", err)
	}
	var cases []struct {
		Case, Kind, Definition string
		Valid                  bool
		Annotations            map[string]any
		Spec                   map[string]any
	}
	if err := yaml.UnmarshalStrict(content, &cases); err != nil {
		t.Fatalf("parse cases: %v", err)
	}
	found := definitions(t)
	verdicts := map[bool]int{}
	for _, c := range cases {
		object := map[string]any{
			"apiVersion": "imageproxy.apps.tanzu.vmware.com/v1alpha1", "kind": c.Kind,
			"metadata": map[string]any{"name": "a", "annotations": maps.Clone(c.Annotations)},
		}
		if c.Spec != nil {
			object["spec"] = c.Spec
		}
		want := c.Valid || c.Definition == "accepts"
		errs := refused(t, found[c.Kind], object)
		if accepted := len(errs) == 0; accepted != want {
			t.Errorf("%s, %s: accepted %v, want %v: %v", c.Kind, c.Case, accepted, want, errs.ToAggregate())
		}
		verdicts[want]++
	}
	if verdicts[true] < 8 || verdicts[false] < 30 {
		t.Errorf("too few cases: %v", verdicts)
	}
}
