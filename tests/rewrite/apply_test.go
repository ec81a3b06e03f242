// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// cluster is an API server that knows a few kinds, has no objects, and remembers what is made.
type cluster struct {
	*httptest.Server
	mu   sync.Mutex
	made []string // namespace/kind/name, sorted at the end
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	const verbs = `"verbs":["create","get","patch"]`
	answers := map[string]string{
		"/version": `{"major":"1","minor":"36","gitVersion":"v1.36.0"}`,
		"/api":     `{"kind":"APIVersions","versions":["v1"]}`,
		"/apis": `{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"apps","versions":[{"groupVersion":"apps/v1","version":"v1"}],
			"preferredVersion":{"groupVersion":"apps/v1","version":"v1"}},{"name":"rbac.authorization.k8s.io","versions":[{"groupVersion":
			"rbac.authorization.k8s.io/v1","version":"v1"}],"preferredVersion":{"groupVersion":"rbac.authorization.k8s.io/v1","version":"v1"}}]}`,
		"/api/v1": `{"kind":"APIResourceList","groupVersion":"v1","resources":[
			{"name":"secrets","kind":"Secret","namespaced":true,` + verbs + `},{"name":"pods","kind":"Pod","namespaced":true,` + verbs + `},
			{"name":"serviceaccounts","kind":"ServiceAccount","namespaced":true,` + verbs + `},
			{"name":"namespaces","kind":"Namespace","namespaced":false,` + verbs + `}]}`,
		"/apis/apps/v1": `{"kind":"APIResourceList","groupVersion":"apps/v1","resources":[
			{"name":"deployments","kind":"Deployment","namespaced":true,` + verbs + `}]}`,
		"/apis/rbac.authorization.k8s.io/v1": `{"kind":"APIResourceList","groupVersion":"rbac.authorization.k8s.io/v1","resources":[
			{"name":"clusterroles","kind":"ClusterRole","namespaced":false,` + verbs + `}]}`,
	}
	c := &cluster{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.Method == http.MethodPost:
			c.mu.Lock()
			defer c.mu.Unlock()
			_, path, _ := strings.Cut(r.URL.Path, "/v1/")
			for _, object := range objectsOf(t, string(body)) {
				c.made = append(c.made, path+"/"+object.Metadata.Name)
			}
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write(body)
		case answers[r.URL.Path] != "":
			_, _ = io.WriteString(w, answers[r.URL.Path])
		default:
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// config is a kubeconfig whose context has a namespace of its own.
func (c *cluster) config(p *place) string {
	p.Helper()
	return p.file("kubeconfig", `{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: {server: "`+c.URL+`"}}],
  users: [{name: c, user: {token: t}}], contexts: [{name: c, context: {cluster: c, user: c, namespace: here}}]}`)
}

func deployment(name, namespace string) string {
	return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: " + name + ", namespace: " + namespace + "}\nspec:\n" +
		"  selector: {matchLabels: {app: a}}\n  template:\n    metadata: {labels: {app: a}}\n" +
		"    spec: {containers: [{name: c, image: \"quay.io/o/" + name + ":1\"}]}\n---\n"
}

// TestTheLineThatApplies: kubectl takes the line as it is printed, and every object gets to where its base
// means it to be, with a pull Secret there.
func TestTheLineThatApplies(t *testing.T) {
	t.Parallel()
	role := "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: role}\n---\n"
	namespace := func(name string) string {
		return "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + name + "}\n---\n"
	}
	named := namespace("certs") + deployment("webhook", "certs") + deployment("leader", "kube-system") + role
	secret := func(namespace string) string { return "namespaces/" + namespace + "/secrets/my-kots-app-registry" }
	deployed := func(namespace, name string) string { return "namespaces/" + namespace + "/deployments/" + name }
	certs := []string{secret("certs"), secret("kube-system"), deployed("certs", "webhook"), deployed("kube-system", "leader"),
		"namespaces/certs", "clusterroles/role"}
	tests := []struct {
		name, base, midstream string
		args                  []string
		line                  string // what it holds
		want                  []string
	}{
		{"nothing said", deployment("web", ""), "", nil, "Apply it: kubectl apply -k ",
			[]string{secret("here"), deployed("here", "web")}},
		{"a namespace", deployment("web", "") + role, "", []string{"-n", "shop"}, "Apply it: kubectl apply -n shop -k ",
			[]string{secret("shop"), deployed("shop", "web"), "clusterroles/role"}},
		{"the namespace of all", deployment("web", "shop"), "", []string{"-n", "shop"}, "Apply it: kubectl apply -n shop -k ",
			[]string{secret("shop"), deployed("shop", "web")}},
		{"all have one", named, "", nil, "Apply it: kubectl apply -k ", certs},
		{"all have another one", named, "", []string{"-n", "shop"}, "Apply it: kubectl apply -k ",
			append(slices.Clone(certs), secret("shop"))},
		{"some have one", named + deployment("web", ""), "", []string{"-n", "shop"}, "--namespace shop && kubectl apply -k ",
			append(slices.Clone(certs), secret("shop"), deployed("shop", "web"))},
		{"some have one, nothing said", named + deployment("web", ""), "", nil, "Apply it: kubectl apply -k ",
			append(slices.Clone(certs), secret("here"), deployed("here", "web"))},
		{"one that is not there", deployment("web", "far"), "", nil, "Apply it, once the namespace far is there: kubectl apply -k ",
			[]string{secret("far"), deployed("far", "web")}},
		{"the user's own", named + deployment("web", ""), "namespace: own\n", []string{"-n", "shop"}, "Apply it: kubectl apply -k ",
			[]string{secret("own"), deployed("own", "webhook"), deployed("own", "leader"), deployed("own", "web"), "namespaces/own", "clusterroles/role"}},
		{"kinds of its own", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.example.com}\n" +
			"spec: {group: example.com, scope: Cluster, names: {kind: Thing, plural: things}}\n---\napiVersion: example.com/v1\nkind: Thing\nmetadata: {name: t}\n---\n" +
			deployment("web", "shop"), "", []string{"-n", "shop"}, "kubectl apply -n shop -k overlays/midstream\nIt defines kinds of its own. " +
			"Where kubectl finds no matches for one, run the line once more.\n", nil},
		{"too large for kubectl's annotation", deployment("web", "") + "apiVersion: v1\nkind: Secret\nmetadata: {name: large}\nstringData: {a: \"" +
			strings.Repeat("a", 300<<10) + "\"}\n", "", nil, "kubectl apply --server-side -k ", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, c := newPlace(t), newCluster(t)
			p.file("base/all.yaml", tt.base)
			if tt.midstream != "" {
				p.file("overlays/midstream/kustomization.yaml", tt.midstream)
			}
			_, said := p.run("", "kubectl", append([]string{"lsp", "rewrite", "--base", "base", "--all", "--license-file",
				p.file("license.yaml", customer), "--proxy-domain", "proxy.example.com"}, tt.args...)...)
			if !strings.Contains(said, tt.line) {
				t.Fatalf("it says\n%s", said)
			}
			_, line, _ := strings.Cut(said, ": kubectl ")
			line, _, _ = strings.Cut(line, "\n")
			if tt.want == nil {
				return
			}
			shell := exec.CommandContext(t.Context(), "sh", "-c", "kubectl "+line+" --validate=false") // c has no schemas
			shell.Dir, shell.Env = p.dir, append(p.env, "KUBECONFIG="+c.config(p))
			if out, err := shell.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", shell, err, out)
			}
			slices.Sort(c.made)
			slices.Sort(tt.want)
			if diff := cmp.Diff(tt.want, c.made); diff != "" {
				t.Errorf("made (-want +got):\n%s", diff)
			}
		})
	}
}
