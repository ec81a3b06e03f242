// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"errors"
	"os"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
)

// TestVerdicts has the server's half of testdata/verdicts.yml; tests/package holds the
// CustomResourceDefinitions against the same file.
func TestVerdicts(t *testing.T) {
	content, err := os.ReadFile("testdata/verdicts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Case, Kind  string
		Valid       bool
		Annotations map[string]string
		Spec        map[string]any
	}
	if err := yaml.Unmarshal(content, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		object := map[string]any{
			"apiVersion": v1alpha1.APIVersion, "kind": c.Kind,
			"metadata": map[string]any{"name": "a", "annotations": c.Annotations}, "spec": c.Spec,
		}
		text, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		objects, err := v1alpha1.Parse("a.yml", text)
		for _, each := range objects {
			err = errors.Join(err, each.Validate(v1alpha1.InCluster))
		}
		if (err == nil) != c.Valid {
			t.Errorf("%s, %s: valid should be %v; error %v", c.Kind, c.Case, c.Valid, err)
		}
	}
}
