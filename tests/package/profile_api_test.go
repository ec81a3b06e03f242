// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// withAPI has everything of the namespaced API that a profile can have.
const withAPI = `local_source_proxy:
  push_secret: {name: lsp-push-credentials, namespace: tap-install}
  network_policy: {enabled: true}
  service_proxy: {enabled: false}
  namespaced_api: {enabled: true, tenancy: tags}
`

// What the namespaced API needs outside of the package's namespace is the profile's, for the same reason: who
// may create APIServices could take over every API of the cluster.
func TestProfileHasWhatTheAPINeedsOfTheCluster(t *testing.T) {
	profile, product := profileTemplates(t), productTemplates(t)
	outside := func(all []object) []object {
		return slices.DeleteFunc(slices.Clone(all), func(o object) bool {
			return o.text("kind") == "Namespace" || o.text("metadata", "namespace") != "" && o.text("metadata", "namespace") != "kube-system"
		})
	}
	const values = "namespaced_api: {enabled: true}, push_secret: {name: a, namespace: kube-system, create_export: true}"
	all := mustRender(t, profile, "local_source_proxy: {"+values+"}")
	want := slices.DeleteFunc(outside(mustRender(t, product, "{"+values+"}")), ofOthers)
	roles := func(o object) bool { return o.text("metadata", "name") == installer+"-exports" }
	if diff := cmp.Diff(want, slices.DeleteFunc(outside(all), roles)); diff != "" || len(want) != 5 {
		t.Errorf("outside of the namespace (-package +profile):\n%s", diff)
	}
	passed := mustRender(t, product, passedOn(t, all))
	find(t, passed, namespace+"/Service/local-source-proxy-api")
	if left := slices.DeleteFunc(outside(passed), ofOthers); len(left) > 0 {
		t.Errorf("the package creates them too: %v", ids(left))
	}
	for _, values := range []string{"{}", "local_source_proxy: {namespaced_api: {enabled: false}}", "{profile: run, local_source_proxy: {" + values + "}}"} {
		for _, o := range mustRender(t, profile, values) {
			if o.text("kind") == "APIService" || strings.Contains(o.text("kind"), "ClusterRole") {
				t.Errorf("%s: %s", values, o.id())
			}
		}
	}
}
