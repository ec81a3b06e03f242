// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// everyResource is what an installation consists of, as kubectl takes it: namespace, kind, name.
func everyResource() [][3]string {
	return [][3]string{
		{"", "namespace", namespace},
		{namespace, "service", "local-source-proxy"},
		{namespace, "deployment", "local-source-proxy"},
		{namespace, "secret", "local-source-proxy-values"},
		{namespace, "serviceaccount", "proxy-manager"},
		{namespace, "rolebinding", "proxy-manager"},
		{namespace, "role", "local-source-proxy-manager"},
		{namespace, "role", "push-artifact"},
		{namespace, "rolebinding", "service-proxy-role-binding"},
		{namespace, "secretimport", pushSecret},
		{installNamespace, "secretexport", pushSecret},
	}
}

// The package is installed by kapp-controller out of the registry, and all of it is there.
func TestPackageInstall(t *testing.T) {
	explain(t)
	uninstall(t)
	u := startUpstream(t)
	install(t, here.versions[0], valuesFor(t, u, nil))
	for _, resource := range everyResource() {
		args := []string{"get", resource[1], resource[2], "-o", "name"}
		if resource[0] != "" {
			args = append(args, "-n", resource[0])
		}
		kubectl(t, args...)
	}
	step(t, "%d kinds of resources are there", len(everyResource()))
	kubectl(t, "wait", "-n", namespace, deployment, "--for=condition=Available", "--timeout=1s")
	if to := kubectl(t, "get", "secretexport", "-n", installNamespace, pushSecret, "-o", "jsonpath={.spec.toNamespace}"); to != namespace {
		t.Errorf("the credential is exported to %q, not %s", to, namespace)
	}

	step(t, "the operator edits the values: another limit, and another group may push")
	since := nextSecond(t)
	applyInstall(t, "local-source-proxy", packageName, here.versions[0], valuesFor(t, u, values{
		"proxy_configuration":            values{"limits": values{"memory": "120Mi"}},
		"rbac_subjects_for_proxy_access": []values{{"kind": "Group", "name": "team-a"}},
	}))
	reconciled(t, "local-source-proxy", here.versions[0], since)
	limit := kubectl(t, "get", "-n", namespace, deployment, "-o", "jsonpath={.spec.template.spec.containers[0].resources.limits.memory}")
	group := kubectl(t, "get", "-n", namespace, "rolebinding", "service-proxy-role-binding", "-o", "jsonpath={.subjects[*].name}")
	if limit != "120Mi" || group != "team-a" {
		t.Errorf("memory limit %q, subjects %q", limit, group)
	}

	step(t, "a misspelt key is refused, and what runs stays")
	applyInstall(t, "local-source-proxy", packageName, here.versions[0], valuesFor(t, u, values{"repositry": "x"}))
	eventually(t, 2*time.Minute, "kapp-controller says which key", func() error {
		message := kubectl(t, "get", "packageinstall", "-n", installNamespace, "local-source-proxy", "-o", "jsonpath={.status.usefulErrorMessage}")
		if !strings.Contains(message, "repositry") {
			return fmt.Errorf("it says: %s", message)
		}
		return nil
	})
	as(t, "colleague").expect(t, http.StatusOK, "GET", prefix+"/v2/")
}

// A platform's profile brings the package, or does not.
func TestProfiles(t *testing.T) {
	explain(t)
	uninstall(t)
	u := startUpstream(t)
	addRepository(t, here.versions[0])
	platform := values{
		// Keys of other packages stand in the same file.
		"ceip_policy_disclosed": true,
		"supply_chain":          "basic",
		"shared": values{
			"ingress_domain": "apps.example.com", "ca_cert_data": here.secret(t, "ca.crt"),
			"image_registry": values{"project_path": u.host + "/team", "secret": values{"name": pushSecret, "namespace": installNamespace}},
		},
		"local_source_proxy": values{"push_secret": values{"create_export": true, "name": pushSecret, "namespace": installNamespace}},
	}
	for _, profile := range []struct {
		name     string
		excluded []string
		installs bool
	}{
		{name: "full", installs: true},
		{name: "full", excluded: []string{packageName}},
		{name: "iterate", installs: true},
		{name: "run"},
		{name: "light", installs: true},
	} {
		step(t, "profile %s, excluded packages %v", profile.name, profile.excluded)
		platform["profile"], platform["excluded_packages"] = profile.name, profile.excluded
		since := nextSecond(t)
		applyInstall(t, "profiles", profilesName, here.versions[0], platform)
		reconciled(t, "profiles", here.versions[0], since)
		if found := kubectl(t, "get", "packageinstall", "-n", installNamespace, "local-source-proxy", "--ignore-not-found", "-o", "name"); (found != "") != profile.installs {
			t.Fatalf("profile %s, excluded packages %v: the PackageInstall is %q", profile.name, profile.excluded, found)
		}
		if !profile.installs {
			if found := kubectl(t, "get", "namespace", namespace, "--ignore-not-found", "-o", "name"); found != "" {
				t.Fatalf("profile %s: %s is still there", profile.name, found)
			}
			continue
		}
		kubectl(t, "wait", "-n", namespace, deployment, "--for=condition=Available", "--timeout=5s")
		setCredential(t, u.dockerConfig(u.user, u.password))
		developer := as(t, "developer")
		eventually(t, 2*time.Minute, "healthy for a developer", func() error { return health(t, developer, http.StatusOK, "200") })
	}
	uninstall(t)
}
