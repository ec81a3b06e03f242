// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Names that the package gives to the parts of the namespaced API.
const (
	apiName        = "v1alpha1.localsource.apps.tanzu.vmware.com"
	apiCertificate = "local-source-proxy-api-certificate"
)

// installAPI installs the package with the namespaced API, and two teams: the developer has "edit" in team-a and
// the colleague in team-b, and nothing else.
func installAPI(t *testing.T, api, more values) *upstream {
	t.Helper()
	api["enabled"] = true
	v := values{"namespaced_api": api}
	for key, value := range more {
		v[key] = value
	}
	u := installFor(t, v)
	for team, user := range map[string]string{"team-a": "developer", "team-b": "colleague"} {
		apply(t, fmt.Sprintf(`
apiVersion: v1
kind: Namespace
metadata: {name: %[1]s}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: team, namespace: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: %[2]s}]
`, team, user))
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*time.Minute)
		defer cancel()
		if _, err := try(ctx, "", "delete", "namespace", "team-a", "team-b", "--timeout=90s"); err != nil {
			t.Errorf("with the API up, namespaces are not deleted: %v", err)
		}
	})
	available(t)
	return u
}

// available waits until the API server has the API, and until who has "edit" may use it.
func available(t *testing.T) {
	t.Helper()
	developer := as(t, "developer").of("team-a")
	eventually(t, time.Minute, "the namespaced API answers", func() error {
		got, err := developer.do(t.Context(), "GET", developer.way+"/health", nil, nil)
		if err == nil && got.status != http.StatusOK {
			err = fmt.Errorf("status %d: %s", got.status, got.body)
		}
		return err
	})
}

// TestNamespacedAPI is used by two teams, each with a repository of its own.
func TestNamespacedAPI(t *testing.T) {
	u := installAPI(t, values{"metrics_by_namespace": true}, values{"allow_pull": true, "allow_sub_repositories": true, "allow_delete": true})
	developer, colleague, admin := as(t, "developer").of("team-a"), as(t, "colleague").of("team-b"), as(t, "admin")
	// 72 seconds: requests of other kinds end after a minute.
	slow := startPushesTo(t, developer.way, repository+"/team-a", 1, 1, content{size: 72 << 20, pause: time.Second})

	t.Run("two teams", func(t *testing.T) {
		for user, team := range map[*throughAPIServer]string{developer: "team-a", colleague: "team-b"} {
			pushRecorded(t, user, []byte("a blob of "+team))
			if got := user.expect(t, 200, "GET", user.way+"/health").header.Get("Lsp-Registry-Path"); got != u.host+"/"+repository+"/"+team {
				t.Errorf("%s pushes to %s", team, got)
			}
		}
		said := developer.expect(t, 200, "GET", developer.way+"/health").body
		if !strings.Contains(said, `"namespace":"team-a","user":"developer"`) || !strings.Contains(said, `"tenancy":"repositories"`) {
			t.Errorf("/health says %s", said)
		}
	})
	t.Run("another team's", func(t *testing.T) {
		theirs := digestOf([]byte("a blob of team-b"))
		for _, way := range []string{namespaced("team-b"), namespaced("default"), namespaced("no-such-namespace"), namespaced(strings.Repeat("a", 63))} {
			for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
				got := developer.expect(t, 403, method, way+"/v2/source/blobs/uploads/x")
				if !strings.Contains(got.body, `cannot`) || !strings.Contains(got.body, "sources/proxy") {
					t.Errorf("%s %s: %s", method, way, got.body)
				}
			}
		}
		for _, name := range []string{"source", "source/../team-b/source", "team-b", "source/team-b"} {
			got := developer.expect(t, 202, "POST", developer.way+"/v2/source/blobs/uploads/?mount="+theirs+"&from="+name)
			if got.header.Get("Docker-Upload-Uuid") == "" && !strings.Contains(got.header.Get("Location"), "/blobs/uploads/") {
				t.Errorf("mounted from %s: %v", name, got.header)
			}
		}
		for _, path := range []string{"/v2/source/blobs/", "/v2/source/../team-b/blobs/", "/v2/source/team-b/blobs/", "/v2/source%2F..%2Fteam-b/blobs/"} {
			developer.expect(t, 404, "GET", developer.way+path+theirs)
		}
		session := colleague.expect(t, 202, "POST", colleague.way+"/v2/source/blobs/uploads/").header.Get("Location")
		stolen := strings.Replace(session, "/team-b/", "/team-a/", 1)
		if got := developer.expect(t, 404, "GET", stolen); !strings.Contains(got.body, "BLOB_UPLOAD_UNKNOWN") {
			t.Errorf("a session of team-b for team-a: %s", got.body)
		}
		// "edit" does not delete; the administrator may, and does it where he says.
		developer.expect(t, 403, "DELETE", developer.way+"/v2/source/manifests/x")
		if got, err := admin.do(t.Context(), "DELETE", namespaced("team-a")+"/v2/source/blobs/"+theirs, nil, nil); err != nil || got.status < 400 {
			t.Errorf("team-b's blob is deleted in team-a: %v, status %d", err, got.status)
		}
	})
	t.Run("clients", func(t *testing.T) { useClients(t, u) })
	t.Run("strangers", func(t *testing.T) { beStrangers(t) })
	t.Run("discovery", func(t *testing.T) {
		for _, args := range [][]string{{"api-resources"}, {"api-versions"}, {"get", "all", "-n", "team-a"}} {
			if out, err := try(t.Context(), "", args...); err != nil {
				t.Errorf("%v: %v\n%s", args, err, out)
			}
		}
		if got := kubectl(t, "get", "apiservice", apiName, "-o", `jsonpath={.status.conditions[?(@.type=="Available")].status}`); got != "True" {
			t.Errorf("the APIService is available: %s", got)
		}
	})
	t.Run("a namespace is deleted", func(t *testing.T) {
		kubectl(t, "create", "namespace", "short-lived")
		kubectl(t, "delete", "namespace", "short-lived", "--timeout=60s")
	})
	t.Run("who pushed", func(t *testing.T) {
		tag, err := name.NewTag(clientName + ":who")
		if err != nil {
			t.Fatal(err)
		}
		image, err := random.Image(1<<10, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(tag, image, remote.WithContext(t.Context()), remote.WithTransport(developer)); err != nil {
			t.Fatal(err)
		}
		digest, err := image.Digest()
		if err != nil {
			t.Fatal(err)
		}
		var counted float64
		for _, p := range pods(t) {
			counted += metric(t, p.ip, `lsp_requests_total{door="api",operation="manifest-put",source_namespace="team-a",status="201"}`)
		}
		if counted == 0 {
			t.Error("no metric of team-a")
		}
		eventually(t, time.Minute, "the log names who pushed a digest", func() error {
			out, err := try(t.Context(), "", "logs", "-n", namespace, "-l", "app.kubernetes.io/name=local-source-proxy", "--tail=-1")
			if err != nil {
				return err
			}
			for line := range strings.SplitSeq(out, "\n") {
				var entry struct {
					Namespace, User, Reference, Digest string
					Groups                             int
				}
				if json.Unmarshal([]byte(line), &entry) == nil && entry.Digest == digest.String() &&
					entry.Namespace == "team-a" && entry.User == "developer" && entry.Groups > 0 && entry.Reference == "who" {
					return nil
				}
			}
			return errors.New("no such line")
		})
	})
	t.Run("a push of 72 seconds", func(t *testing.T) {
		slow.clients.Wait()
		slow.stop(t)
		if slow.retries() > 0 {
			t.Errorf("%d requests were repeated", slow.retries())
		}
		slow.check(t, u)
	})
}

// useClients pushes with kubectl lsp, and with other people's clients behind its registry.
func useClients(t *testing.T, u *upstream) {
	t.Helper()
	d := newDesk(t, withToken(t, "developer"))
	kubectlConfig(t, d, "team-a")
	digest := d.push(t, "web")
	checkUpstreamIn(t, u, repository+"/team-a", "team-a-web", digest)
	d.lsp(t, "push", "--name", "web", "--local-path", d.tree, "-n", "team-b").want(t, 1, "", "sources.localsource.apps.tanzu.vmware.com")
	d.lsp(t, "health", "-o", "yaml").want(t, 0, "namespace: team-a", "")
	d.lsp(t, "doctor").want(t, 0, "", "")
	source := openRegistry(t, d)
	out := run(t, d, here.imgpkg, "push", "--tty", "-i", source+":imgpkg", "-f", d.tree)
	_, pushed, _ := strings.Cut(out, "@")
	checkUpstreamIn(t, u, repository+"/team-a", "imgpkg", strings.Trim(strings.Fields(pushed)[0], `'"`))
	run(t, d, "skopeo", "inspect", "--tls-verify=false", "docker://"+source+":imgpkg")
	image, err := random.Image(1<<16, 2)
	if err != nil {
		t.Fatal(err)
	}
	want, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(source+":library", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, image, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	checkUpstreamIn(t, u, repository+"/team-a", "library", want.String())
}

// kubectlConfig has a desk's kubeconfig name another namespace.
func kubectlConfig(t *testing.T, d *desk, namespace string) {
	t.Helper()
	run(t, d, filepath.Join(here.dir, "bin", "kubectl"), "config", "set-context", "--current", "--namespace", namespace)
}

// TestNamespacedAPIOfOneRepository: teams share a repository, and each has its tags.
func TestNamespacedAPIOfOneRepository(t *testing.T) {
	u := installAPI(t, values{"tenancy": "tags"}, nil)
	developer, colleague := as(t, "developer").of("team-a"), as(t, "colleague").of("team-b")
	image, err := random.Image(1<<10, 1)
	if err != nil {
		t.Fatal(err)
	}
	push := func(user *throughAPIServer, tag string) error {
		ref, err := name.NewTag(clientName + ":" + tag)
		if err != nil {
			t.Fatal(err)
		}
		return remote.Write(ref, image, remote.WithContext(t.Context()), remote.WithTransport(user))
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	for user, tags := range map[*throughAPIServer][]string{developer: {"team-a-web", "team-a_my-app"}, colleague: {"team-b-web"}} {
		for _, tag := range tags {
			if err := push(user, tag); err != nil {
				t.Errorf("%s: %v", tag, err)
			}
			checkUpstream(t, u, tag, digest.String())
		}
	}
	for _, tag := range []string{"team-b-web", "team-a-b-web", "team-web", "latest", "team-b_web"} {
		if err := push(developer, tag); err == nil || !strings.Contains(err.Error(), "DENIED") || !strings.Contains(err.Error(), "team-a_") {
			t.Errorf("team-a pushes %s: %v", tag, err)
		}
	}
	for _, path := range []string{"/manifests/team-b-web", "/manifests/" + digest.String(), "/tags/list", "/referrers/" + digest.String()} {
		developer.expect(t, http.StatusForbidden, "GET", developer.way+"/v2/source"+path)
	}
	d := newDesk(t, withToken(t, "developer"))
	kubectlConfig(t, d, "team-a")
	checkUpstream(t, u, "team-a_my-web", d.push(t, "my-web"))
}

// TestServiceProxyOff: nothing answers at its port, and the namespaced API does.
func TestServiceProxyOff(t *testing.T) {
	explain(t)
	u := startUpstream(t)
	install(t, here.versions[0], valuesFor(t, u, values{"namespaced_api": values{"enabled": true}, "service_proxy": values{"enabled": false}}))
	setCredential(t, u.dockerConfig(u.user, u.password))
	admin := as(t, "admin").of("default")
	eventually(t, time.Minute, "healthy", func() error {
		got, err := admin.do(t.Context(), "GET", admin.way+"/health", nil, nil)
		if err == nil && !strings.Contains(got.body, `"statuscode":"200"`) {
			err = fmt.Errorf("status %d: %s", got.status, got.body)
		}
		return err
	})
	if got, err := as(t, "admin").do(t.Context(), "GET", prefix+"/health", nil, nil); err != nil || got.status < 400 {
		t.Errorf("the service proxy answers: %v, status %d", err, got.status)
	}
	for _, p := range pods(t) {
		conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(t.Context(), "tcp", net.JoinHostPort(p.ip, "5002"))
		if err == nil {
			conn.Close()
			t.Errorf("port 5002 of %s is open", p.name)
		}
	}
	pushRecorded(t, admin, []byte("a blob of the administrator"))
}
