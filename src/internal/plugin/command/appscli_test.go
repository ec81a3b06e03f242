// SPDX-License-Identifier: Apache-2.0

package command

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// TestApplyWritesWhatTheAppsCLIWrites has the published Apps CLI as its oracle: what it prints was recorded.
// The README says where the two differ on purpose.
func TestApplyWritesWhatTheAppsCLIWrites(t *testing.T) {
	raw, err := os.ReadFile("testdata/appscli.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var recorded struct {
		Existing map[string]map[string]any
		Cases    []struct {
			Existing string
			Args     []string
			File     string
			Want     map[string]any
		}
	}
	if err := yaml.UnmarshalStrict(raw, &recorded); err != nil || len(recorded.Cases) < 40 {
		t.Fatalf("%d cases, %v", len(recorded.Cases), err)
	}
	w := newWorld(t)
	for _, tt := range recorded.Cases {
		t.Run(tt.Existing+" "+strings.Join(tt.Args, " "), func(t *testing.T) {
			w.api.Remove("workloads", "dev", "web")
			if existing := recorded.Existing[tt.Existing]; existing != nil {
				w.api.Store("dev", "web", existing)
			}
			out := w.answer(tt.File, append([]string{"workload", "apply", "--dry-run", "-o", "yaml"}, tt.Args...)...)
			var got map[string]any
			if err := yaml.Unmarshal([]byte(out.out), &got); err != nil || out.code != 0 {
				t.Fatalf("%v: %+v", err, out)
			}
			if metadata, ok := got["metadata"].(map[string]any); ok {
				delete(metadata, "resourceVersion")
			}
			if diff := cmp.Diff(tt.Want, got); diff != "" {
				t.Errorf("Workload (-the Apps CLI's +ours):\n%s", diff)
			}
		})
	}
}
