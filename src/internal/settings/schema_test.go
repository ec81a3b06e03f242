// SPDX-License-Identifier: Apache-2.0

package settings_test

import (
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/local-source-proxy/local-source-proxy/src/internal/settings"
)

// property is one value of the package's schema, as OpenAPI.
type property struct {
	Properties map[string]property `yaml:"properties"`
	Items      *property           `yaml:"items"`
}

// keys lists the paths of all keys in the schema below p; an item of a list counts as the list's.
func (p property) keys(path string, all []string) []string {
	if p.Items != nil {
		return p.Items.keys(path, all)
	}
	for name, below := range p.Properties {
		all = append(all, path+name)
		all = below.keys(path+name+".", all)
	}
	return all
}

// keysOf lists the same of a Go type, by its yaml tags.
func keysOf(t reflect.Type, path string, all []string) []string {
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return all
	}
	for field := range t.Fields() {
		name := field.Tag.Get("yaml")
		all = append(all, path+name)
		all = keysOf(field.Type, path+name+".", all)
	}
	return all
}

// TestSchemaAndServerKnowTheSameKeys: config/values-schema.yml, from which bundle/openapi.yml is generated,
// and [settings.Values].
func TestSchemaAndServerKnowTheSameKeys(t *testing.T) {
	content, err := os.ReadFile("../../../bundle/openapi.yml")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Components struct {
			Schemas map[string]property `yaml:"schemas"`
		} `yaml:"components"`
	}
	if err := yaml.Unmarshal(content, &document); err != nil {
		t.Fatal(err)
	}
	schema := document.Components.Schemas["dataValues"].keys("", nil)
	server := keysOf(reflect.TypeFor[settings.Values](), "", nil)
	// The platform's, which the server ignores with all else below "shared" that it has no use for.
	schema = slices.DeleteFunc(schema, func(key string) bool {
		return key == "shared.kubernetes_distribution" || key == "shared.kubernetes_version"
	})
	slices.Sort(schema)
	slices.Sort(server)
	if len(schema) < 50 {
		t.Fatalf("the schema has %d keys", len(schema))
	}
	if diff := cmp.Diff(schema, server); diff != "" {
		t.Errorf("config/values-schema.yml and settings.Values differ (-schema +server):\n%s", diff)
	}
}
