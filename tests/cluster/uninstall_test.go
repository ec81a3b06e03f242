// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// What uninstalling leaves in the cluster is what was there before: nothing of ours.
func TestUninstall(t *testing.T) {
	explain(t)
	uninstall(t)
	addRepository(t, here.versions[0])
	setOperatorSecrets(t)
	checkNothingIsLeft(t, nil)
}

// In a namespace that the operator made, and that stays, nothing of ours is left either.
func TestUninstallFromTheOperatorsNamespace(t *testing.T) {
	explain(t)
	uninstall(t)
	addRepository(t, here.versions[0])
	setOperatorSecrets(t)
	apply(t, manifest(t, values{"apiVersion": "v1", "kind": "Namespace", "metadata": values{"name": namespace}}))
	removeAfterwards(t, "namespace", namespace)
	eventually(t, 30*time.Second, "the namespace has what every namespace has", func() error {
		for _, standard := range []string{"serviceaccount/default", "configmap/kube-root-ca.crt"} {
			if _, err := try(t.Context(), "", "get", "-n", namespace, standard); err != nil {
				return err
			}
		}
		return nil
	})
	checkNothingIsLeft(t, values{"create_namespace": false})
}

// With the image proxy, what bundle/README.md names is left, and nothing else.
func TestUninstallWithTheImageProxy(t *testing.T) {
	explain(t)
	uninstall(t)
	t.Cleanup(func() { removeImageProxy(t) })
	addRepository(t, here.versions[0])
	setOperatorSecrets(t)
	checkNothingIsLeft(t, values{"image_proxy": values{"enabled": true, "replicas": 1, "external_url": "https://images.example.com"}},
		"<no value> Namespace "+namespace,
		"<no value> CustomResourceDefinition licenses."+objectGroup,
		"<no value> CustomResourceDefinition externalregistries."+objectGroup,
		// Every namespace has these.
		namespace+" ServiceAccount default", namespace+" ConfigMap kube-root-ca.crt")
}

// removeAfterwards deletes something when the test is over.
func removeAfterwards(t *testing.T, what ...string) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // the test's own has ended
		defer cancel()
		if _, err := try(ctx, "", append([]string{"delete", "--ignore-not-found"}, what...)...); err != nil {
			t.Errorf("left behind: %v", err)
		}
	})
}

// checkNothingIsLeft installs, pushes, so that the server writes what it writes, and uninstalls. It expects
// that nothing but what is named stays.
func checkNothingIsLeft(t *testing.T, more values, named ...string) {
	t.Helper()
	before := everything(t)
	u := startUpstream(t)
	install(t, here.versions[0], valuesFor(t, u, more))
	setCredential(t, u.dockerConfig(u.user, u.password))
	developer := as(t, "developer")
	eventually(t, 30*time.Second, "healthy", func() error { return health(t, developer, 200, "200") })
	pushRecorded(t, developer, []byte("something to keep a session of"))
	step(t, "%d resources came", len(everything(t))-len(before))

	step(t, "uninstalling")
	kubectl(t, "delete", "packageinstall", "-n", installNamespace, "local-source-proxy", "--timeout=3m")
	eventually(t, time.Minute, "nothing of ours is left", func() error {
		after := everything(t)
		maps.DeleteFunc(after, func(name string, _ bool) bool { return before[name] })
		if left := slices.Sorted(maps.Keys(after)); !slices.Equal(left, slices.Sorted(slices.Values(named))) {
			return fmt.Errorf("left behind: %s", strings.Join(left, ", "))
		}
		return nil
	})
}

// setOperatorSecrets makes those that the operator owns; they are not the package's to remove.
func setOperatorSecrets(t *testing.T) {
	t.Helper()
	apply(t, manifest(t, values{
		"apiVersion": "v1", "kind": "Secret", "metadata": values{"name": "local-source-proxy-values", "namespace": installNamespace},
	}))
	setCredential(t, `{"auths":{}}`)
}

// everything lists all resources of the cluster by namespace, kind and name, those aside that come and go by
// themselves.
func everything(t *testing.T) map[string]bool {
	t.Helper()
	var kinds []string
	for _, kind := range strings.Fields(kubectl(t, "api-resources", "--verbs=list", "-o", "name")) {
		switch kind {
		case "events", "events.events.k8s.io", "leases.coordination.k8s.io", "ipaddresses.networking.k8s.io":
		default:
			kinds = append(kinds, kind)
		}
	}
	found := map[string]bool{}
	out := kubectl(t, "get", strings.Join(kinds, ","), "-A", "--ignore-not-found",
		"-o", `go-template={{range .items}}{{.metadata.namespace}} {{.kind}} {{.metadata.name}}{{"\n"}}{{end}}`)
	for _, line := range strings.Split(out, "\n") {
		found[strings.TrimSpace(line)] = true
	}
	return found
}
