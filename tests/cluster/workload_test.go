// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
)

// annotation marks a source that the proxy set.
const annotation = "local-source-proxy.apps.tanzu.vmware.com"

// ownRegistry is one of the developer's own, which knows only this password.
type ownRegistry struct {
	host, password string
	pushes         atomic.Int64
}

// startOwnRegistry runs one with a certificate of the cluster's private CA, and writes its credential into
// the desk's docker config.
func startOwnRegistry(t *testing.T, d *desk) *ownRegistry {
	t.Helper()
	own := &ownRegistry{password: "the developer's own"}
	cert, err := tls.LoadX509KeyPair(filepath.Join(here.dir, "pki", "registry.crt"), filepath.Join(here.dir, "pki", "registry.key"))
	if err != nil {
		t.Fatal(err)
	}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, ok := r.BasicAuth(); !ok || password != own.password {
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
			own.pushes.Add(1)
		}
		inner.ServeHTTP(w, r)
	}))
	server.Listener.Close()
	server.Listener = listen(t)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	own.host = server.Listener.Addr().String()
	auth := base64.StdEncoding.EncodeToString([]byte("developer:" + own.password))
	write(t, filepath.Join(d.home, "config.json"), fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, own.host, auth))
	return own
}

// installWorkloads brings the kind Workload into the cluster, and lets the developer work with them in
// devNamespace, for one test.
func installWorkloads(t *testing.T) {
	t.Helper()
	kind, err := os.ReadFile("workload-api.yml")
	if err != nil {
		t.Fatal(err)
	}
	apply(t, string(kind)+fmt.Sprintf(`
---
apiVersion: v1
kind: Namespace
metadata: {name: %[1]s}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: develop, namespace: %[1]s}
rules: [{apiGroups: [carto.run], resources: [workloads], verbs: [get, list, create, update]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: develop, namespace: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: develop}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: developer}]
`, devNamespace))
	t.Cleanup(func() {
		for _, resource := range []string{"namespace/" + devNamespace, "crd/workloads.carto.run"} {
			if _, err := try(context.WithoutCancel(t.Context()), "", "delete", resource); err != nil {
				t.Error(err)
			}
		}
	})
	kubectl(t, "wait", "crd/workloads.carto.run", "--for=condition=Established", "--timeout=30s")
}

// workload is what the API server has stored.
type workload struct {
	Metadata struct {
		Annotations, Labels map[string]string
		ResourceVersion     string
	}
	Spec map[string]any
}

// stored reads a Workload as the administrator.
func stored(t *testing.T, name string) workload {
	t.Helper()
	var w workload
	if err := get(t, &w, "workload", "-n", devNamespace, name); err != nil {
		t.Fatal(err)
	}
	return w
}

// is compares what a program of ours must leave: the spec, and our annotation, empty for none.
func (w workload) is(t *testing.T, spec, mark string) {
	t.Helper()
	var want map[string]any
	if err := json.Unmarshal([]byte(spec), &want); err != nil {
		t.Fatalf("%s: %v", spec, err)
	}
	// Encoded, both have their keys in the same order.
	got, _ := json.Marshal(w.Spec)
	sorted, _ := json.Marshal(want)
	if string(got) != string(sorted) {
		t.Errorf("stored is the spec\n%s, want\n%s", got, sorted)
	}
	if found, there := w.Metadata.Annotations[annotation]; found != mark || there != (mark != "") {
		t.Errorf("the annotation is %q, want %q", found, mark)
	}
}

// Every rule of the bypass, against the real API server: which way the source takes, and what is stored then.
func TestBypass(t *testing.T) {
	u := installFor(t, nil)
	installWorkloads(t)
	d := newDesk(t, withToken(t, "developer"))
	own := startOwnRegistry(t, d)
	digest := d.push(t, "what-is-its-digest")

	const (
		// What is in a Workload besides its source stays.
		more    = `"env": [{"name": "A", "value": "a"}], "resources": {"limits": {"memory": "1Gi"}}`
		fromGit = `{"source": {"git": {"url": "https://git.example.com/a", "ref": {"branch": "main"}}, "subPath": "sub"}, ` + more + `}`
	)
	ours := u.host + "/" + repository + ":earlier@" + digest
	fromProxy := `{"source": {"image": "` + ours + `", "subPath": "sub"}, ` + more + `}`
	fromForeign := `{"source": {"image": "$OWN@` + digest + `"}, ` + more + `}`
	local := []string{"--local-path", d.tree}
	git := []string{"--git-repo", "https://git.example.com/b", "--git-branch", "next"}

	tests := []struct {
		name string
		// before is the spec of the Workload that is there, mark its annotation; both may be empty.
		before, mark string
		flags        []string
		// way is proxy, straight or empty. spec is what is stored then, with $PUSHED for the pushed image.
		// That is the annotation, too, if way is proxy; otherwise there is none, unless it keeps the one that
		// it had. $OWN is an image in the developer's own registry.
		way, spec string
		keeps     bool
	}{
		{name: "new", flags: local, way: "proxy", spec: `{"source": {"image": "$PUSHED"}}`},
		{
			name: "with-annotation", before: fromProxy, mark: ours, flags: local, way: "proxy",
			spec: `{"source": {"image": "$PUSHED", "subPath": "sub"}, ` + more + `}`,
		},
		{name: "no-source", before: `{` + more + `}`, flags: local, way: "proxy", spec: `{"source": {"image": "$PUSHED"}, ` + more + `}`},
		{name: "from-git", before: fromGit, flags: local, way: "proxy", spec: `{"source": {"image": "$PUSHED", "subPath": "sub"}, ` + more + `}`},
		{name: "prebuilt", before: `{"image": "prebuilt", ` + more + `}`, flags: local, way: "proxy", spec: `{"source": {"image": "$PUSHED"}, ` + more + `}`},
		{name: "foreign-image", before: fromForeign, flags: local, way: "straight", spec: `{"source": {"image": "$PUSHED"}, ` + more + `}`},
		{name: "new-source-image", flags: append(slices.Clone(local), "--source-image", "$OWN"), way: "straight", spec: `{"source": {"image": "$PUSHED"}}`},
		{
			name: "proxy-to-source-image", before: fromProxy, mark: ours, flags: append(slices.Clone(local), "--source-image", "$OWN"), way: "straight",
			spec: `{"source": {"image": "$PUSHED", "subPath": "sub"}, ` + more + `}`,
		},
		{
			name: "proxy-to-pushed-image", before: fromProxy, mark: ours, flags: []string{"--source-image", "$OWN"},
			spec: `{"source": {"image": "$OWN", "subPath": "sub"}, ` + more + `}`,
		},
		{
			name: "proxy-to-git", before: fromProxy, mark: ours, flags: git,
			spec: `{"source": {"git": {"url": "https://git.example.com/b", "ref": {"branch": "next"}}, "subPath": "sub"}, ` + more + `}`,
		},
		{name: "proxy-to-prebuilt", before: fromProxy, mark: ours, flags: []string{"--image", "prebuilt"}, spec: `{"image": "prebuilt", ` + more + `}`},
		{
			name: "proxy-and-a-variable", before: fromProxy, mark: ours, flags: []string{"--env", "A=b"}, keeps: true,
			spec: `{"source": {"image": "` + ours + `", "subPath": "sub"}, "env": [{"name": "A", "value": "b"}], "resources": {"limits": {"memory": "1Gi"}}}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			foreign := own.host + "/mine/" + tt.name + ":main"
			fill := func(text string) string { return strings.ReplaceAll(text, "$OWN", foreign) }
			if tt.before != "" {
				annotations := values{"mine": "kept"}
				if tt.mark != "" {
					annotations[annotation] = tt.mark
				}
				apply(t, manifest(t, values{
					"apiVersion": "carto.run/v1alpha1", "kind": "Workload", "spec": json.RawMessage(fill(tt.before)),
					"metadata": values{"name": tt.name, "namespace": devNamespace, "annotations": annotations},
				}))
			}
			asked, pushes := served(t), own.pushes.Load()
			args := []string{"workload", "apply", tt.name, "--yes", "--registry-ca-cert", filepath.Join(here.dir, "pki", "ca.crt")}
			for _, flag := range tt.flags {
				args = append(args, fill(flag))
			}
			d.lsp(t, args...).want(t, 0, "workload.carto.run/"+tt.name+"\n", "")

			if used := served(t) != asked; used != (tt.way == "proxy") {
				t.Errorf("the proxy was asked: %v", used)
			}
			if used := own.pushes.Load() != pushes; used != (tt.way == "straight") {
				t.Errorf("the developer's own registry was pushed to: %v", used)
			}
			pushed, mark := "", ""
			switch {
			case tt.way == "proxy":
				checkUpstream(t, u, devNamespace+"-"+tt.name, digest)
				pushed = u.host + "/" + repository + ":" + devNamespace + "-" + tt.name + "@" + digest
				mark = pushed
			case tt.way == "straight":
				pushed = foreign + "@" + digest
			case tt.keeps:
				mark = tt.mark
			}
			got := stored(t, tt.name)
			got.is(t, strings.ReplaceAll(fill(tt.spec), "$PUSHED", pushed), mark)
			if tt.before != "" && got.Metadata.Annotations["mine"] != "kept" {
				t.Errorf("annotations %v", got.Metadata.Annotations)
			}
		})
	}
}

// A Workload from its creation on: what is shown, what is asked, and what happens without consent.
func TestWorkloadApply(t *testing.T) {
	u := installFor(t, nil)
	d := newDesk(t, withToken(t, "developer"))
	create := []string{"workload", "apply", "web", "--local-path", d.tree}

	step(t, "a cluster without Workloads")
	newDesk(t, withToken(t, "admin")).lsp(t, append(create, "--yes")...).want(t, 1, "", "the cluster has no Workloads (carto.run/v1alpha1); is Cartographer installed?")
	installWorkloads(t)

	step(t, "nobody answers, somebody says no, and a look")
	d.lsp(t, create...).want(t, 1, "", "nobody answered; say --yes to go on without asking")
	d.answer(t, "n\n", create...).want(t, 1, "", "Nothing was changed.")
	d.lsp(t, append(create, "--dry-run")...).want(t, 0, "kind: Workload\n", "Packed 1 file")
	if found := kubectl(t, "get", "workload", "-n", devNamespace, "web", "--ignore-not-found", "-o", "name"); found != "" {
		t.Fatalf("without consent there is %s", found)
	}

	step(t, "somebody says yes")
	d.answer(t, "y\n", append(create, "--type", "server", "--env", "A=a")...).
		want(t, 0, "workload.carto.run/web\n", "+kind: Workload\n").
		want(t, 0, "", "Create Workload web in namespace "+devNamespace+"? [y/N]")
	first := stored(t, "web")
	pushed := u.host + "/" + repository + ":" + devNamespace + "-web@" + d.push(t, "web")
	first.is(t, `{"source": {"image": "`+pushed+`"}, "env": [{"name": "A", "value": "a"}]}`, pushed)
	if kind := first.Metadata.Labels["apps.tanzu.vmware.com/workload-type"]; kind != "server" {
		t.Errorf("the type is %q", kind)
	}

	step(t, "the same again changes nothing")
	d.lsp(t, create...).want(t, 0, "workload.carto.run/web\n", "Workload web is unchanged.")
	if again := stored(t, "web"); again.Metadata.ResourceVersion != first.Metadata.ResourceVersion {
		t.Errorf("resource version %s after %s", again.Metadata.ResourceVersion, first.Metadata.ResourceVersion)
	}

	step(t, "changed source, and a status that a controller wrote meanwhile")
	kubectl(t, "patch", "workload", "-n", devNamespace, "web", "--subresource=status", "--type=merge", "-p", `{"status": {"conditions": [{"type": "Ready"}]}}`)
	write(t, filepath.Join(d.tree, "main.go"), "package changed\n")
	changed := d.lsp(t, append(create, "--yes")...).want(t, 0, "workload.carto.run/web\n", "-    image: "+pushed+"\n")
	next := u.host + "/" + repository + ":" + devNamespace + "-web@" + d.push(t, "web")
	changed.want(t, 0, "", "+    image: "+next+"\n")
	stored(t, "web").is(t, `{"source": {"image": "`+next+`"}, "env": [{"name": "A", "value": "a"}]}`, next)
	if strings.Contains(changed.stderr, "status") || strings.Contains(changed.stderr, "resourceVersion") {
		t.Errorf("the diff shows what only the cluster writes:\n%s", changed.stderr)
	}
	if status := kubectl(t, "get", "workload", "-n", devNamespace, "web", "-o", "jsonpath={.status.conditions[0].type}"); status != "Ready" {
		t.Errorf("the status is %q", status)
	}

	step(t, "a colleague, who may push but has no right to Workloads here")
	colleague := newDesk(t, withToken(t, "colleague"))
	colleague.lsp(t, "workload", "apply", "web", "--local-path", colleague.tree, "--yes").
		want(t, 1, "", `look for Workload web in namespace dev: workloads.carto.run "web" is forbidden: User "colleague" cannot get`)
}
