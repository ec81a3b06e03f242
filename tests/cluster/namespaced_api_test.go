// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
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
		stolen := strings.Replace(pathOf(session), "/team-b/", "/team-a/", 1)
		if got := developer.expect(t, 404, "GET", stolen); !strings.Contains(got.body, "BLOB_UPLOAD_UNKNOWN") {
			t.Errorf("a session of team-b for team-a: %s", got.body)
		}
		// "edit" does not delete; the administrator may, and does it where he says.
		developer.expect(t, 403, "DELETE", developer.way+"/v2/source/manifests/x")
		if got, err := admin.do(t.Context(), "DELETE", namespaced("team-a")+"/v2/source/blobs/"+theirs, nil, nil); err != nil || got.status < 400 {
			t.Errorf("team-b's blob is deleted in team-a: %v, status %d", err, got.status)
		}
	})
	t.Run("clients", func(t *testing.T) { useClients(t, u, developer) })
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
func useClients(t *testing.T, u *upstream, developer *throughAPIServer) {
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
	_ = developer
}

// kubectlConfig has a desk's kubeconfig name another namespace.
func kubectlConfig(t *testing.T, d *desk, namespace string) {
	t.Helper()
	run(t, d, filepath.Join(here.dir, "bin", "kubectl"), "config", "set-context", "--current", "--namespace", namespace)
}

// beStrangers reaches the port directly, as a pod does, without the API server's certificate.
func beStrangers(t *testing.T) {
	t.Helper()
	pair := func(name string) []tls.Certificate {
		cert, err := tls.LoadX509KeyPair(filepath.Join(here.dir, "pki", name+".crt"), filepath.Join(here.dir, "pki", name+".key"))
		if err != nil {
			t.Fatal(err)
		}
		return []tls.Certificate{cert}
	}
	for who, certificates := range map[string][]tls.Certificate{
		"nobody": nil, "another name of the same CA": pair("front-proxy-other"), "the API server by another CA": pair("kubelet-client"),
		"a CA that is not in force": pair("front-proxy-next"),
	} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{
			InsecureSkipVerify: true, //nolint:gosec // it is the server that has to find out
			Certificates:       certificates,
		}}
		t.Cleanup(transport.CloseIdleConnections)
		for _, p := range pods(t) {
			for _, path := range []string{"/apis", "/healthz", namespaced("team-a") + "/v2/", namespaced("team-b") + "/health", "/v2/source/tags/list"} {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+net.JoinHostPort(p.ip, "5004")+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header = http.Header{"X-Remote-User": {"admin"}, "X-Remote-Group": {"system:masters"}}
				resp, err := transport.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != http.StatusUnauthorized {
					t.Errorf("%s asks for %s: status %d, error %v: %s", who, path, resp.StatusCode, err, body)
				}
			}
		}
	}
	// Neither does a pod get in by the API server's service proxy, which shows no certificate.
	got := as(t, "admin").expect(t, http.StatusUnauthorized, "GET", "/api/v1/namespaces/"+namespace+"/services/https:local-source-proxy-api:443/proxy"+namespaced("team-a")+"/v2/")
	if strings.Contains(got.body, "team") {
		t.Errorf("it says %s", got.body)
	}
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

// TestNamespacedAPICertificates: what is taken away comes back in seconds, and kapp and the server do not fight.
func TestNamespacedAPICertificates(t *testing.T) {
	installAPI(t, values{}, nil)
	developer := as(t, "developer").of("team-a")
	bundle := func() string {
		return kubectl(t, "get", "apiservice", apiName, "-o", "jsonpath={.spec.caBundle}")
	}
	before := bundle()
	settled := func(what string) {
		t.Helper()
		eventually(t, 20*time.Second, what, func() error {
			if now := bundle(); now != before {
				return fmt.Errorf("the caBundle is %.40s", now)
			}
			if out, err := try(t.Context(), "", "get", "secret", "-n", namespace, apiCertificate, "-o", `jsonpath={.data.tls\.crt}`); err != nil || out == "" {
				return fmt.Errorf("the Secret has no certificate: %w", err)
			}
			got, err := developer.do(t.Context(), "POST", developer.way+"/v2/source/blobs/uploads/", nil, nil)
			if err == nil && got.status != http.StatusAccepted {
				err = fmt.Errorf("status %d: %s", got.status, got.body)
			}
			return err
		})
	}
	settled("it works")
	t.Run("the Secret is deleted", func(t *testing.T) {
		kubectl(t, "delete", "secret", "-n", namespace, apiCertificate)
		settled("the Secret is back")
	})
	t.Run("all pods are replaced", func(t *testing.T) {
		kubectl(t, "rollout", "restart", "-n", namespace, deployment)
		kubectl(t, "rollout", "status", "-n", namespace, deployment, "--timeout=3m")
		settled("new pods have the same certificate")
	})
	t.Run("the caBundle is edited", func(t *testing.T) {
		kubectl(t, "patch", "apiservice", apiName, "--type=merge", "-p", `{"spec":{"caBundle":"`+strings.Repeat("QUJD", 8)+`"}}`)
		settled("the caBundle is back")
	})
	t.Run("kapp changes nothing", func(t *testing.T) {
		for range 2 {
			since := nextSecond(t)
			for _, paused := range []string{"true", "false"} {
				kubectl(t, "patch", "packageinstall", "-n", installNamespace, "local-source-proxy", "--type=merge", "-p", `{"spec":{"paused":`+paused+`}}`)
				eventually(t, time.Minute, "paused: "+paused, func() error {
					if got := kubectl(t, "get", "app", "-n", installNamespace, "local-source-proxy", "-o", "jsonpath={.spec.paused}"); got != paused && (paused == "true" || got != "") {
						return fmt.Errorf("the App says %q", got)
					}
					return nil
				})
			}
			reconciled(t, "local-source-proxy", here.versions[0], since)
			if out := kubectl(t, "get", "app", "-n", installNamespace, "local-source-proxy", "-o", "jsonpath={.status.deploy.stdout}"); !strings.Contains(out, "0 create, 0 delete, 0 update") {
				t.Errorf("kapp has changed something:\n%s", out)
			}
		}
		settled("and it works still")
	})
	t.Run("the account may not do more", func(t *testing.T) {
		account := "system:serviceaccount:" + namespace + ":proxy-manager"
		for _, forbidden := range [][]string{
			{"create", "secret", "generic", apiCertificate, "-n", namespace},
			{"create", "secret", "generic", "another", "-n", namespace},
			{"delete", "secret", apiCertificate, "-n", namespace},
			{"patch", "apiservice", "v1.apps", "--type=merge", "-p", `{"spec":{"caBundle":"QUJD"}}`},
			{"delete", "apiservice", apiName},
			{"get", "configmap", "kubeadm-config", "-n", "kube-system"},
		} {
			if out, err := try(t.Context(), "", append(forbidden, "--as", account)...); err == nil || !strings.Contains(err.Error(), "orbidden") {
				t.Errorf("%v: %v %s", forbidden, err, out)
			}
		}
		for name, kind := range map[string]string{"another": "Opaque", apiCertificate: "kubernetes.io/service-account-token"} {
			secret := manifest(t, values{
				"apiVersion": "v1", "kind": "Secret", "type": kind,
				"metadata": values{"name": name, "namespace": namespace, "annotations": values{"kubernetes.io/service-account.name": "default"}},
			})
			if out, err := try(t.Context(), secret, "apply", "--server-side", "--force-conflicts", "-f", "-", "--as", account); err == nil {
				t.Errorf("Secret %s of type %s: %s", name, kind, out)
			}
		}
	})
	t.Run("the front proxy is rotated", func(t *testing.T) {
		pki := filepath.Join(here.dir, "pki")
		rotate := func(from string) {
			for to, name := range map[string]string{"front-proxy-ca.crt": "front-proxy-ca" + from + ".crt", "front-proxy.crt": "front-proxy" + from + ".crt", "front-proxy.key": "front-proxy" + from + ".key"} {
				content, err := os.ReadFile(filepath.Join(pki, name))
				if err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(pki, to), string(content))
			}
		}
		for _, name := range []string{"front-proxy-ca.crt", "front-proxy.crt", "front-proxy.key"} {
			content, err := os.ReadFile(filepath.Join(pki, name))
			if err != nil {
				t.Fatal(err)
			}
			base, ext, _ := strings.Cut(name, ".")
			write(t, filepath.Join(pki, base+"-before."+ext), string(content))
		}
		rotated := func(suffix string) {
			t.Helper()
			rotate(suffix)
			authority, err := os.ReadFile(filepath.Join(pki, "front-proxy-ca.crt"))
			if err != nil {
				t.Fatal(err)
			}
			// The API server reads its files once a minute.
			eventually(t, 3*time.Minute, "the API server shows itself by "+suffix, func() error {
				out := kubectl(t, "get", "configmap", "-n", "kube-system", "extension-apiserver-authentication", "-o", `jsonpath={.data.requestheader-client-ca-file}`)
				if !strings.Contains(out, strings.TrimSpace(string(authority))) {
					return errors.New("not yet")
				}
				return nil
			})
			eventually(t, 3*time.Minute, "the rotated front proxy is taken", func() error {
				got, err := developer.do(t.Context(), "GET", developer.way+"/v2/", nil, nil)
				if err == nil && got.status != http.StatusOK {
					err = fmt.Errorf("status %d: %s", got.status, got.body)
				}
				return err
			})
		}
		rotated("-next")
		rotated("-before")
	})
}

// TestNamespacedAPIOutlivesEverything: pods and the API server are killed, the next version comes, and every blob
// is whole.
func TestNamespacedAPIOutlivesEverything(t *testing.T) {
	u := installAPI(t, values{}, nil)
	waitForReplicas(t, 2)
	load := startPushesTo(t, namespaced("team-a"), repository+"/team-a", 4, untilStopped, content{size: 64 << 20, pause: 50 * time.Millisecond})
	load.waitFor(t, 1)
	victim := pods(t)[0]
	eventually(t, time.Minute, "uploads are under way in "+victim.name, func() error {
		if metric(t, victim.ip, `lsp_uploads_in_flight{door="api"}`) == 0 {
			return errors.New("none")
		}
		return nil
	})
	step(t, "killing pod %s", victim.name)
	kubectl(t, "delete", "pod", "-n", namespace, victim.name, "--grace-period=1", "--wait=false")
	waitForReplicas(t, 2)
	load.waitFor(t, 2)
	step(t, "killing the API server")
	killAPIServer(t)
	eventually(t, 2*time.Minute, "the API server is back", func() error {
		_, err := try(t.Context(), "", "get", "--raw", "/readyz")
		return err
	})
	load.waitFor(t, 2)
	step(t, "the next version")
	install(t, here.versions[1], valuesFor(t, u, values{"namespaced_api": values{"enabled": true}}))
	waitForReplicas(t, 2)
	load.waitFor(t, 2)
	load.stop(t)
	load.check(t, u)
	if load.continued == 0 {
		t.Error("no upload was cut and continued: this test has shown nothing")
	}
}

// killAPIServer kills that of this cluster, which its init starts again.
func killAPIServer(t *testing.T) {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range processes {
		content, err := os.ReadFile(path)
		args := strings.Split(string(content), "\x00")
		if err != nil || filepath.Base(args[0]) != "kube-apiserver" || !strings.Contains(string(content), filepath.Join(here.dir, "apiserver")) {
			continue
		}
		var pid int
		if _, err := fmt.Sscanf(path, "/proc/%d/cmdline", &pid); err != nil {
			t.Fatal(err)
		}
		process, err := os.FindProcess(pid)
		if err != nil {
			t.Fatal(err)
		}
		if err := process.Kill(); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatal("the API server is not found")
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
