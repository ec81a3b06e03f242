// SPDX-License-Identifier: Apache-2.0

package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/local-source-proxy/local-source-proxy/src/internal/diagnosis"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/doctor"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/lsptest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
)

// TestNoRightInTheNamespace: the error names the right, the command to see it, and who can give it. Nothing goes
// another way.
func TestNoRightInTheNamespace(t *testing.T) {
	w := newWorld(t)
	w.namespaced(proxytest.Config{})
	w.cluster.Aggregation.Denied = func(verb, namespace string) bool { return namespace == "team-b" || verb == "patch" }
	const want = "you may not get sources/proxy in namespace team-b: sources.localsource.apps.tanzu.vmware.com \"source\" is forbidden: User \"jane\" cannot get resource \"sources/proxy\""
	const command = "`kubectl auth can-i get sources.localsource.apps.tanzu.vmware.com/source --subresource=proxy -n team-b`"
	for _, args := range [][]string{
		{"push", "--name", "web", "--local-path", w.tree}, {"registry", "--port", "0"},
		{"workload", "apply", "web", "--local-path", w.tree, "--yes"}, {"push", "--name", "web", "--local-path", w.tree, "--via", "api"},
	} {
		out := w.run(append(args, "-n", "team-b")...)
		out.want(t, 1, "", want)
		for _, part := range []string{command, "ClusterRole local-source-proxy-push, which edit and admin contain"} {
			if !strings.Contains(out.err, part) || strings.Count(out.err, "\n") != 1 {
				t.Errorf("%q: not one line with %s:\n%s", args, part, out.err)
			}
		}
	}
	health := w.run("health", "-n", "team-b")
	health.want(t, 1, ".*namespace: team-b\n.*", "")
	if !strings.Contains(health.out, "user_has_permission: false") || !strings.Contains(strings.Join(strings.Fields(health.out), " "), command) {
		t.Errorf("health %s", health.out)
	}
	steps := w.run("doctor", "-n", "team-b")
	steps.want(t, 1, ".*failed   RBAC +you may not get sources/proxy source in namespace team-b\n"+
		" +-> whoever administers the namespace can bind the ClusterRole local-source-proxy-push, which edit and admin contain; "+command+" shows.*skipped  service.*", "")
	w.run("doctor").want(t, 1, ".*failed   RBAC +you may not patch sources/proxy source in namespace dev\n.*", "")
	if log := w.registry.Log(); len(log) > 0 {
		t.Errorf("the Service was asked %q", log)
	}
}

// TestTheAPIIsDown: the Service serves where there is one, with a note; else there is one clear error.
func TestTheAPIIsDown(t *testing.T) {
	w := newWorld(t)
	w.namespaced(proxytest.Config{})
	w.cluster.Aggregation.Unavailable = true
	const note = "the namespaced API does not work: 503: service unavailable; the operator can look at the APIService v1alpha1.localsource.apps.tanzu.vmware.com"
	push := []string{"push", "--name", "web", "--local-path", w.tree}
	out := w.run(push...)
	out.want(t, 0, reference+"\n", note+"; going through the Service instead\n")
	if strings.Count(out.err, note) != 1 {
		t.Errorf("the note comes %d times", strings.Count(out.err, note))
	}
	if quiet := w.run(append(push, "-q")...); quiet.err != "" || quiet.code != 0 {
		t.Errorf("--quiet says %s", quiet.err)
	}
	w.run("health").want(t, 0, ".*via: service\n", note)
	w.run("doctor").want(t, 0, ".*ok       way in +the Service: "+note+"; its APIService v1alpha1.localsource.apps.tanzu.vmware.com is not Available: "+
		"MissingEndpoints: endpoints have no addresses with port name api\n.*", "")
	w.run("doctor", "--via", "api").want(t, 1, ".*failed   way in +"+note+"; its APIService .* is not Available: .*\n +-> ask the operator to look at the Deployment local-source-proxy.*skipped  RBAC.*", "")
	w.run("health", "--via", "api").want(t, 1, ".*user_has_permission: true\nvia: api\n", "")
	w.cluster.Set(lsptest.Absent)
	w.run("health").want(t, 1, ".*Local source proxy is not installed on the cluster.*", "")
	w.run("doctor").want(t, 1, ".*failed   service .*", "")
}

// TestNoOneSeesTheAPI: who may not see whether there is an API hears of it, and can still take it.
func TestNoOneSeesTheAPI(t *testing.T) {
	w := newWorld(t)
	w.namespaced(proxytest.Config{})
	w.cluster.Aggregation.Hidden = true
	w.run("push", "--name", "web", "--local-path", w.tree).want(t, 0, reference+"\n", "you may not see whether there is a namespaced API (--via api takes it unseen): ")
	w.run("push", "--name", "web", "--local-path", w.tree, "--via", "api").pushedTag(t, "registry.example.com/team/code/dev")
	w.run("doctor").want(t, 0, ".*ok       way in +the Service: you may not see .*; you may not read the APIService v1alpha1.localsource.apps.tanzu.vmware.com\n.*", "")
}

// TestDoctorSaysTheWayIn and why, with what the cluster says of the APIService.
func TestDoctorSaysTheWayIn(t *testing.T) {
	w := newWorld(t)
	w.run("doctor").want(t, 0, ".*ok       way in +the Service: the cluster serves no namespaced API\n.*", "")
	w.run("doctor", "--via", "api").want(t, 1, ".*failed   way in +the cluster serves no namespaced API; there is no APIService v1alpha1.localsource.apps.tanzu.vmware.com\n +-> leave --via out, or ask the operator for namespaced_api.enabled\n.*", "")
	w.namespaced(proxytest.Config{})
	w.run("doctor").want(t, 0, ".*ok       way in +the namespaced API, for namespace dev; its APIService v1alpha1.localsource.apps.tanzu.vmware.com is Available\n"+
		"ok       RBAC +you may get, create, update, patch in namespace dev\n"+
		"ok       service +behind the APIService v1alpha1.localsource.apps.tanzu.vmware.com\n"+
		"ok       pod +answers\nok       upstream token  registry.example.com/team/code/dev\nok       push scope .*", "")
	w.run("doctor", "--via", "service").want(t, 0, ".*ok       way in +the Service, by --via service\n.*ok       upstream token  "+lsptest.RegistryPath+"\n.*", "")
	w.run("doctor", "--via", "api").want(t, 0, ".*ok       way in +the namespaced API, for namespace dev; .*, by --via api\n.*", "")
	var steps []diagnosis.Step
	if out := w.run("doctor", "-o", "yaml"); yaml.Unmarshal([]byte(out.out), &steps) != nil || len(steps) != 8 {
		t.Errorf("%+v", out)
	}
	w.run("doctor", "--context", "expired").want(t, 1, ".*failed   API server.*", "")
}

// TestHealthOfTheAPI says who pushes, for whom and to where.
func TestHealthOfTheAPI(t *testing.T) {
	w := newWorld(t)
	w.namespaced(proxytest.Config{})
	var got doctor.Health
	out := w.run("health", "-o", "json")
	if err := json.Unmarshal([]byte(out.out), &got); err != nil {
		t.Fatal(err)
	}
	want := doctor.Health{
		UserHasPermission: true, Reachable: true, UpstreamAuthenticated: true, OverallHealth: true, Message: "All health checks passed",
		Via: "api", Namespace: "dev", User: lsptest.User, Target: "registry.example.com/team/code/dev", Tenancy: "repositories",
	}
	if diff := cmp.Diff(want, got); diff != "" || out.code != 0 {
		t.Errorf("health (-want +got):\n%s", diff)
	}
	w.run("health", "-n", "other").want(t, 0, ".*namespace: other\n.*target: registry.example.com/team/code/other\n.*", "")
}

// TestMistakesOfTheWayIn: one line each, with the exit code of a mistake in the command line.
func TestMistakesOfTheWayIn(t *testing.T) {
	w := newWorld(t)
	for _, args := range []string{
		"push --name web", "registry", "health", "doctor", "support-bundle", "version", "workload apply web",
	} {
		for _, word := range []string{"proxy", "API", "", "server"} {
			out := w.run(append(strings.Fields(args), "--via", word)...)
			out.want(t, 2, "", `"--via" flag: choose one of auto, api, service; see 'kubectl lsp `)
		}
		w.run(append(strings.Fields(args), "--via", "api", "--server", "http://localhost:1")...).want(t, 2, "", "--via and --server: --server goes past the cluster")
		if help := w.run(append(strings.Fields(args), "--help")...); !strings.Contains(help.out, "--via ") {
			t.Errorf("%s has no --via", args)
		}
	}
	w.run("license", "list", "--via", "api").want(t, 2, "", "unknown flag: --via")
	config, err := clientcmd.LoadFromFile(os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	config.Contexts["developer"].Namespace = "Team/../b"
	path := filepath.Join(t.TempDir(), "config")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	w.run("health", "--kubeconfig", path).want(t, 1, ".*", `namespace "Team/../b": no namespace can have this name; choose another with --namespace`)
	w.run("health", "--kubeconfig", path, "--via", "service").want(t, 0, ".*", "")
}

// TestVersionThroughTheAPI asks whoever answers.
func TestVersionThroughTheAPI(t *testing.T) {
	w := newWorld(t)
	w.namespaced(proxytest.Config{})
	w.cluster.Set(lsptest.Absent)
	w.run("version").want(t, 0, "Client: .*\nServer: .*\n", "")
	if asked := w.cluster.Aggregation.Log(); len(asked) != 2 {
		t.Errorf("asked %q", asked)
	}
}
