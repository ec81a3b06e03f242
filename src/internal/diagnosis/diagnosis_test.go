// SPDX-License-Identifier: Apache-2.0

package diagnosis_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/diagnosis"
)

// TestOneForm pins what scripts read of "check -o json" and of "doctor -o json", and what people read.
func TestOneForm(t *testing.T) {
	for name, tt := range map[string]struct {
		check              diagnosis.Check
		wantJSON, wantText string
	}{
		"well": {
			func(context.Context) (diagnosis.Step, error) {
				return diagnosis.Step{Detail: "there", Remedy: "not needed"}, nil
			},
			`{"name":"well","status":"ok","detail":"there"}`, "ok       well            there\n",
		},
		"fails": {
			func(context.Context) (diagnosis.Step, error) {
				return diagnosis.Step{Detail: "not seen", Remedy: "mend it"}, errors.New("two\nlines")
			},
			`{"name":"fails","status":"failed","detail":"two lines","remedy":"mend it"}`,
			"failed   fails           two lines\n                         -> mend it\n",
		},
		"skips": {
			func(context.Context) (diagnosis.Step, error) { return diagnosis.Step{Status: diagnosis.Skipped}, nil },
			`{"name":"skips","status":"skipped"}`, "skipped  skips           \n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			step := diagnosis.Do(t.Context(), name, tt.check)
			raw, err := json.Marshal(step)
			if err != nil || string(raw) != tt.wantJSON {
				t.Errorf("%v, JSON %s, want %s", err, raw, tt.wantJSON)
			}
			var text strings.Builder
			if err := step.Print(&text); err != nil || text.String() != tt.wantText {
				t.Errorf("%v, text %q, want %q", err, text.String(), tt.wantText)
			}
			if healthy := diagnosis.Healthy([]diagnosis.Step{step}); healthy != (name != "fails") {
				t.Errorf("healthy is %v", healthy)
			}
		})
	}
	if diagnosis.Healthy(nil) {
		t.Error("no step at all is healthy")
	}
}
