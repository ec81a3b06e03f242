// SPDX-License-Identifier: Apache-2.0

package command

import "testing"

// TestRewriteAdmissionPolicy: the flag makes the file; without it the file goes, and its user learns what stays.
func TestRewriteAdmissionPolicy(t *testing.T) {
	s := newMarket(t)
	s.rewrite("--admission-policy").want(t, 1, "", "the admission policy needs the names of its namespaces: say --namespace")
	s.rewrite("--admission-policy", "-n", "shop", "--dry-run").want(t, 0, ".*kind: MutatingAdmissionPolicy\n.*", "")
	s.rewrite("--admission-policy", "-n", "shop").want(t, 0, ".*create .*admission-policy.yaml\n.*", "")
	s.rewrite("--admission-policy", "-n", "shop").want(t, 0, ".*keep .*admission-policy.yaml\n.*", "")
	s.rewrite("-n", "shop").want(t, 0, ".*delete .*admission-policy.yaml\n.*",
		"kubectl delete mutatingadmissionpolicy,mutatingadmissionpolicybinding my-app-images.shop")
}
