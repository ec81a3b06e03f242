// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// An installation that nobody can push with is no success, and says why.
func TestMissingCredentialFailsTheInstallation(t *testing.T) {
	explain(t)
	uninstall(t)
	addRepository(t, here.versions[0])
	u := startUpstream(t)
	setCredential(t, u.dockerConfig(u.user, u.password))
	secret := func(more values) values { return values{"push_secret": more} }
	for name, c := range map[string]struct {
		values values
		want   []string
	}{
		"a misspelt name": {
			secret(values{"name": "push-credential", "namespace": installNamespace, "create_export": true}),
			[]string{"secretexport/push-credential (secretgen.carvel.dev/v1alpha1) namespace: " + installNamespace, "Missing exported secret"},
		},
		"nobody exports it": {
			secret(values{"name": pushSecret, "namespace": installNamespace}),
			[]string{"secretimport/" + pushSecret + " (secretgen.carvel.dev/v1alpha1) namespace: " + namespace, "No matching export/secret"},
		},
		"a misspelt image pull Secret": {
			values{"image_pull_secret": values{"name": "mirrors", "namespace": installNamespace}},
			[]string{"secretimport/mirrors", "No matching export/secret"},
		},
	} {
		step(t, "%s", name)
		applyInstall(t, "local-source-proxy", packageName, here.versions[0], valuesFor(t, u, c.values))
		var message string
		eventually(t, 4*time.Minute, "the installation fails", func() error {
			message = kubectl(t, "get", "packageinstall", "-n", installNamespace, "local-source-proxy", "-o", "jsonpath={.status.usefulErrorMessage}")
			for _, want := range append(c.want, "ReconcileFailed") {
				if !strings.Contains(message, want) {
					return fmt.Errorf("it says: %s", message)
				}
			}
			return nil
		})
		step(t, "kapp-controller says:\n%s", message)
		if condition := kubectl(t, "get", "packageinstall", "-n", installNamespace, "local-source-proxy", "-o", "jsonpath={.status.conditions[*].type}"); condition != "ReconcileFailed" {
			t.Errorf("%s: the PackageInstall is %s", name, condition)
		}
	}

	step(t, "put right, the installation succeeds by itself")
	applyInstall(t, "local-source-proxy", packageName, here.versions[0], valuesFor(t, u, nil))
	// The attempt that is under way may still be one with the values before.
	eventually(t, 3*time.Minute, "the installation succeeds", func() error {
		condition := kubectl(t, "get", "packageinstall", "-n", installNamespace, "local-source-proxy", "-o", "jsonpath={.status.conditions[*].type}")
		if condition != "ReconcileSucceeded" {
			return fmt.Errorf("the PackageInstall is %s", condition)
		}
		return nil
	})
	admin := as(t, "admin")
	eventually(t, 30*time.Second, "healthy", func() error { return health(t, admin, 200, "200") })
}

// The pods pull with what is meant for pulling, and the push credential lies in no second Secret, although
// another robot's for the same host is exported to all namespaces.
func TestPullSecretOfThePods(t *testing.T) {
	explain(t)
	addRepository(t, here.versions[0])
	u := startUpstream(t)
	const mirror = "mirror-credentials"
	robot := u.dockerConfig("mirror", "a password for pulling")
	apply(t, dockerSecret(t, mirror, robot)+manifest(t, values{
		"apiVersion": "secretgen.carvel.dev/v1alpha1", "kind": "SecretExport",
		"metadata": values{"name": mirror, "namespace": installNamespace}, "spec": values{"toNamespace": "*"},
	}))
	removeAfterwards(t, "secretexport,secret", "-n", installNamespace, mirror)
	install(t, here.versions[0], valuesFor(t, u, values{"image_pull_secret": values{"name": mirror, "namespace": installNamespace}}))
	setCredential(t, u.dockerConfig(u.user, u.password))

	if names := kubectl(t, "get", "-n", namespace, deployment, "-o", "jsonpath={.spec.template.spec.imagePullSecrets[*].name}"); names != mirror {
		t.Errorf("the pods pull with %q", names)
	}
	var list struct {
		Items []struct {
			Metadata struct{ Name string }
			Data     map[string][]byte
		}
	}
	if err := get(t, &list, "secrets", "-n", namespace); err != nil {
		t.Fatal(err)
	}
	auth := base64.StdEncoding.EncodeToString([]byte(u.user + ":" + u.password))
	var pushed []string
	for _, secret := range list.Items {
		config := string(secret.Data[".dockerconfigjson"])
		if secret.Metadata.Name == mirror && config != robot {
			t.Errorf("the pods' Secret has %s", config)
		}
		if strings.Contains(config, auth) {
			pushed = append(pushed, secret.Metadata.Name)
		}
	}
	if !slices.Equal(pushed, []string{pushSecret}) {
		t.Errorf("the push credential lies in %v", pushed)
	}
	// Nothing else is to need the mirror's credential once it is removed.
	install(t, here.versions[0], valuesFor(t, u, nil))
}
