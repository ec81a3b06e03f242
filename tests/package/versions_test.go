// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// laterVersion comes after [version], and backport between the two, although it is published last.
const (
	laterVersion = "0.10.0"
	backport     = "0.3.1-rc.1"
)

// checkSeveralVersions goes on where [version] is published: each later package repository has the earlier
// versions too, as they were published, so that what is installed stays installed.
func checkSeveralVersions(t *testing.T, dir string, r *registry, login string) {
	t.Helper()
	place := r.host + "/team/lsp"
	// packages maps each package of a repository to the bundle that it fetches.
	packages := func(t *testing.T, version string) map[string]string {
		t.Helper()
		files := t.TempDir()
		mustRun(t, command{env: []string{login}, args: []string{tool(t, "imgpkg"), "pull", "-b", place + "/package-repository:" + version, "-o", files}})
		found := map[string]string{}
		for _, o := range objects(t, mustRun(t, command{args: []string{tool(t, "ytt"), "-f", filepath.Join(files, "packages")}})) {
			if o.text("kind") == "Package" {
				fetch := o.at("spec", "template", "spec", "fetch").([]any)
				found[o.text("metadata", "name")] = object(fetch[0].(map[string]any)).text("imgpkgBundle", "image")
			}
		}
		return found
	}
	publishes := func(t *testing.T, version string) {
		t.Helper()
		if result := publishVersion(t, dir, place, version, login); result.err != nil {
			t.Fatalf("publish %s: %v\n%s%s", version, result.err, result.stdout, result.stderr)
		}
	}
	has := func(t *testing.T, repository string, versions ...string) {
		t.Helper()
		var want, got []string
		for _, version := range versions {
			want = append(want, "local-source-proxy.apps.tanzu.vmware.com."+version, "ootb-profiles.apps.tanzu.vmware.com."+version)
		}
		for name, bundle := range packages(t, repository) {
			got = append(got, name)
			of := name[strings.Index(name, ".vmware.com.")+len(".vmware.com."):]
			if as := packages(t, of)[name]; bundle != as {
				t.Errorf("repository %s: %s fetches %s, and as it was published %s", repository, name, bundle, as)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("repository %s (-want +got):\n%s", repository, diff)
		}
	}
	has(t, version, version)
	publishes(t, laterVersion)
	has(t, laterVersion, version, laterVersion)

	publishes(t, backport)
	has(t, backport, version, backport)

	stored := r.files(t)
	publishes(t, laterVersion)
	if diff := cmp.Diff(stored, r.files(t)); diff != "" {
		t.Errorf("published again after the backport, something changed (-before +after):\n%s", diff)
	}
}
