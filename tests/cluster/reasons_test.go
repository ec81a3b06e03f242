// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

// reason is what the plugin says in one situation: each part by the command that prints it.
type reason struct {
	// fields and message are those of health, line is push's last, step the one that doctor finds broken, and
	// remedy its advice.
	fields, message, line, step, remedy string
}

// check runs the three commands; all of them fail.
func (r reason) check(t *testing.T, d *desk) {
	t.Helper()
	d.lsp(t, "health").want(t, 1, r.message, "")
	var fields []string
	for _, line := range strings.Split(d.lsp(t, "health").stdout, "\n") {
		if name, value, ok := strings.Cut(line, ": "); ok && value == "true" {
			fields = append(fields, name)
		}
	}
	if got := strings.Join(fields, " "); got != r.fields {
		t.Errorf("health: true are %q, want %q", got, r.fields)
	}

	pushed := d.lsp(t, "push", "--name", "reasons", "--local-path", d.tree, "--quiet").want(t, 1, "", r.line)
	if pushed.stdout != "" || strings.Count(pushed.stderr, "\n") != 1 || !strings.HasPrefix(pushed.stderr, "kubectl lsp: ") {
		t.Errorf("push says more than one line:\n%s%s", pushed.stdout, pushed.stderr)
	}

	var steps []struct{ Name, Status, Remedy string }
	if err := json.Unmarshal([]byte(d.lsp(t, "doctor", "-o", "json").want(t, 1, "", "").stdout), &steps); err != nil {
		t.Fatalf("doctor -o json: %v", err)
	}
	for _, s := range steps {
		if failed := s.Status == "failed"; failed != (s.Name == r.step) || failed && !strings.HasPrefix(s.Remedy, r.remedy) {
			t.Errorf("doctor: %+v; to fail is %q with the remedy %q", s, r.step, r.remedy)
		}
	}
}

// What "kubectl lsp" says when a push cannot work, by what really causes it.
func TestPluginSaysWhy(t *testing.T) {
	explain(t)
	developer, admin := newDesk(t, withToken(t, "developer")), newDesk(t, withToken(t, "admin"))
	absent := reason{
		fields: "user_has_permission", message: "Local source proxy is not installed on the cluster.",
		line: "the local source proxy is not installed in this cluster: ", step: "service",
		remedy: "ask the operator to install the package " + packageName,
	}
	unlisted := reason{
		message: "The current user does not have permission to access the local source proxy.",
		line:    "ask the cluster's operator to list you or a group of yours in rbac_subjects_for_proxy_access", step: "RBAC",
		remedy: "ask the cluster's operator to list you or a group of yours in rbac_subjects_for_proxy_access",
	}

	uninstall(t)
	step(t, "the package is absent: who may ask hears so, who may not is told that first")
	absent.check(t, admin)
	unlisted.check(t, developer)

	team := []values{{"kind": "Group", "name": "team-a", "apiGroup": "rbac.authorization.k8s.io"}}
	u := installFor(t, values{"rbac_subjects_for_proxy_access": team})
	step(t, "installed for team-a, which the developer is not of")
	unlisted.check(t, developer)

	step(t, "installed for everybody")
	install(t, here.versions[0], valuesFor(t, u, nil))
	developer.lsp(t, "health").want(t, 0, "overall_health: true", "")
	developer.lsp(t, "doctor").want(t, 0, "an upload may begin", "")
	checkUpstream(t, u, devNamespace+"-reasons", developer.push(t, "reasons"))

	step(t, "the registry refuses the operator's credential")
	setCredential(t, u.dockerConfig(u.user, "not-the-password"))
	eventually(t, 2*time.Minute, "health sees it", func() error {
		if got := developer.lsp(t, "health"); got.code == 0 {
			return errors.New(got.stdout)
		}
		return nil
	})
	write(t, developer.tree+"/main.go", "package changed\n") // another tree than before
	reason{
		fields: "reachable user_has_permission", message: "Local source proxy was unable to authenticate against the target registry.",
		line: "the registry does not let the proxy push: ", step: "upstream token", remedy: "ask the operator to check push_secret and repository",
	}.check(t, developer)
	setCredential(t, u.dockerConfig(u.user, u.password))

	step(t, "no pod is there for the Service")
	kubectl(t, "scale", "-n", namespace, deployment, "--replicas=0")
	kubectl(t, "wait", "-n", namespace, "pod", "-l", "app.kubernetes.io/name=local-source-proxy", "--for=delete", "--timeout=1m")
	reason{
		fields: "user_has_permission", message: "Local source proxy is not healthy.",
		line: "no pod of the local source proxy is ready: ", step: "pod", remedy: "ask the operator to look at the Deployment local-source-proxy",
	}.check(t, developer)

	step(t, "no Service is there")
	kubectl(t, "delete", "service", "-n", namespace, "local-source-proxy")
	absent.check(t, developer)
}
