// SPDX-License-Identifier: Apache-2.0

package version

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestDescribe(t *testing.T) {
	t.Parallel()
	build := func(version string, settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{GoVersion: "go1.26.1", Main: debug.Module{Version: version}, Settings: settings}
	}
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "1234abcd"}
	tests := map[string]struct {
		stamp string
		build *debug.BuildInfo
		want  string
	}{
		"nothing known":      {want: "devel"},
		"go build":           {build: build("(devel)"), want: "devel (go1.26.1)"},
		"go test":            {build: build(""), want: "devel (go1.26.1)"},
		"go install":         {build: build("v0.3.0"), want: "0.3.0 (go1.26.1)"},
		"clean tree":         {build: build("(devel)", revision), want: "devel (commit 1234abcd, go1.26.1)"},
		"untouched tree":     {build: build("(devel)", revision, debug.BuildSetting{Key: "vcs.modified", Value: "false"}), want: "devel (commit 1234abcd, go1.26.1)"},
		"changed tree":       {build: build("(devel)", revision, debug.BuildSetting{Key: "vcs.modified", Value: "true"}), want: "devel (commit 1234abcd-dirty, go1.26.1)"},
		"stamped":            {stamp: "0.3.1@feed", build: build("(devel)", revision), want: "0.3.1 (commit feed, go1.26.1)"},
		"stamped, no commit": {stamp: "0.3.1@", build: build("(devel)", revision), want: "0.3.1 (go1.26.1)"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := describe(tc.stamp, tc.build).String(); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestGetKnowsTheToolchain(t *testing.T) {
	t.Parallel()
	if got := Get(); got.Go != runtime.Version() {
		t.Errorf("toolchain %q, want %q", got.Go, runtime.Version())
	}
}
