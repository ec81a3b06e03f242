// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// What uninstalling leaves in the cluster is what was there before: nothing of ours.
func TestUninstall(t *testing.T) {
	explain(t)
	uninstall(t)
	addRepository(t, here.versions[0])
	setOperatorSecrets(t)
	before := everything(t)

	u := startUpstream(t)
	install(t, here.versions[0], valuesFor(t, u, nil))
	setCredential(t, u.dockerConfig(u.user, u.password))
	pushRecorded(t, as(t, "developer"), []byte("something to keep a session of"))
	step(t, "%d resources came", len(everything(t))-len(before))

	uninstall(t)
	after := everything(t)
	maps.DeleteFunc(after, func(name string, _ bool) bool { return before[name] })
	if left := slices.Sorted(maps.Keys(after)); len(left) > 0 {
		t.Errorf("left behind: %s", strings.Join(left, ", "))
	}
}

// setOperatorSecrets makes those that the operator owns; they are not the package's to remove.
func setOperatorSecrets(t *testing.T) {
	t.Helper()
	apply(t, manifest(t, values{
		"apiVersion": "v1", "kind": "Secret", "metadata": values{"name": "local-source-proxy-values", "namespace": installNamespace},
	}))
	apply(t, manifest(t, values{
		"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
		"metadata":   values{"name": pushSecret, "namespace": installNamespace},
		"stringData": values{".dockerconfigjson": `{"auths":{}}`},
	}))
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
