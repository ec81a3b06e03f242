// SPDX-License-Identifier: Apache-2.0

package command

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/lsptest"
)

// unpack returns the files of a bundle by their name without the directory.
func unpack(t *testing.T, file string) map[string]string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v: others may read it", info.Mode(), err)
	}
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for archive := tar.NewReader(r); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return got
		}
		content, readErr := io.ReadAll(archive)
		if err := errors.Join(err, readErr); err != nil {
			t.Fatal(err)
		}
		_, name, _ := strings.Cut(header.Name, "/")
		got[name] = string(content)
	}
}

// secretsOfTheCluster plants secrets wherever something could take them from, and returns them.
func (w *world) secretsOfTheCluster() (secrets []string) {
	const ns = "tap-local-source-system"
	secret := func(kind string) string {
		text := "s3cr3t/" + kind + "+" + strings.Repeat(string(rune('a'+len(secrets))), 8)
		secrets = append(secrets, text)
		return text
	}
	encoded := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	password, hidden, id := secret("password"), secret("values"), "license-of-acme-4711"
	key := strings.TrimSpace(encoded(strings.Repeat("k", 32)))
	secrets = append(secrets, key, encoded("robot:"+password), lsptest.Developer)
	auths, _ := json.Marshal(map[string]any{"auths": map[string]any{"registry.example.com": map[string]string{
		"username": "robot", "password": password, "auth": encoded("robot:" + password),
	}}})
	put := func(name, kind string, data map[string]any) {
		for key, value := range data {
			data[key] = encoded(value.(string))
		}
		w.api.Put("secrets", ns, name, map[string]any{"apiVersion": "v1", "kind": "Secret", "type": kind, "data": data})
	}
	put("push", "kubernetes.io/dockerconfigjson", map[string]any{".dockerconfigjson": string(auths)})
	put("local-source-proxy-session-key", "Opaque", map[string]any{"key": key + "\n"})
	put("tls", "kubernetes.io/tls", map[string]any{"tls.key": "-----BEGIN PRIVATE KEY-----\n" + secret("pem") + "\n-----END PRIVATE KEY-----\n"})
	put("token", "kubernetes.io/service-account-token", map[string]any{
		"namespace": ns, "ca.crt": "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", "token": secret("sa"),
	})
	put("multiline", "Opaque", map[string]any{"text": "first line of it\n" + secret("line") + "\nlast line of it\n"})
	put("local-source-proxy-values", "Opaque", map[string]any{"values.yml": "repository: registry.example.com/team/source\n" +
		"shared: {image_registry: {project_path: registry.example.com/team, username: robot-" + hidden + ", password: " + hidden + "}}\n" +
		"allow_pull: true\n"})
	hash := sha256.Sum256([]byte(id))
	secrets = append(secrets, id, encoded("LICENSE_ID:"+id), hex.EncodeToString(hash[:]), "buyer@acme.example.com")
	w.api.Put("licenses", ns, "acme", map[string]any{
		"apiVersion": "imageproxy.apps.tanzu.vmware.com/v1alpha1", "kind": "License", "spec": map[string]any{
			"appSlug": "shop", "customerName": "Acme", "customerEmail": "buyer@acme.example.com",
			"credentials": []any{map[string]any{"name": "one", "sha256": hex.EncodeToString(hash[:])}},
		},
	})

	// None of this should be where it is. It is taken out all the same.
	var text strings.Builder
	for _, s := range secrets {
		quoted, _ := json.Marshal(s)
		fmt.Fprintf(&text, "plain %s, quoted %s, url %s, base64 %s\n", s, quoted, url.QueryEscape(s), encoded(s))
	}
	unknown := []string{"hunter2hunter2", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl", "AKIAIOSFODNN7EXAMPLE"}
	fmt.Fprintf(&text, "Authorization: Bearer %[1]s\npassword=%[1]s&x=y\n{\"identitytoken\": %[1]q}\nhttps://me:%[1]s@registry.example.com/v2/\n"+
		"token %[2]s by %[3]s\nPATCH /v2/source/blobs/uploads/%[1]s?_state=%[1]s\nLicense ID %[4]s\n", unknown[0], unknown[1], unknown[2], id)
	secrets = append(secrets, unknown...)
	text.WriteString("an honest line of tap-local-source-system\n")
	w.api.Put("events", ns, "e1", map[string]any{
		"apiVersion": "v1", "kind": "Event", "reason": "FailedMount", "message": text.String(),
		"involvedObject": map[string]any{"kind": "Pod", "name": "proxy-1"},
	})
	w.api.Put("deployments", ns, "local-source-proxy", map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "spec": map[string]any{"replicas": 1, "template": text.String()},
		"status": map[string]any{"conditions": []any{map[string]any{"type": "Available", "message": text.String()}}},
	})
	w.api.Core, w.api.Pods = true, &lsptest.Pods{Metrics: "lsp_requests_total 7\n# " + text.String()}
	w.api.Pods.Set(corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "proxy-1", UID: "1", Annotations: map[string]string{"a": text.String()}},
		Spec: corev1.PodSpec{NodeName: "node-1", Containers: []corev1.Container{{
			Name: "proxy", Env: []corev1.EnvVar{{Name: "X", Value: "of-the-environment"}},
		}}},
		Status: corev1.PodStatus{Message: text.String(), ContainerStatuses: []corev1.ContainerStatus{{Name: "proxy", RestartCount: 1}}},
	})
	for line := range strings.SplitSeq(text.String(), "\n") {
		w.api.Pods.Log("proxy-1", "proxy", time.Now(), line)
	}
	return append(secrets, "of-the-environment")
}

// TestSupportBundle looks for every secret of the cluster in every file.
func TestSupportBundle(t *testing.T) {
	w := newWorld(t)
	secrets := w.secretsOfTheCluster()
	file := filepath.Join(t.TempDir(), "out.tar.gz")
	out := w.run("support-bundle", "-f", file)
	out.want(t, 0, file+"\n", "")
	got := unpack(t, file)
	var names []string
	for name, content := range got {
		names = append(names, name)
		for _, secret := range secrets {
			for _, form := range []string{secret, url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret))} {
				if strings.Contains(content, form) || strings.Contains(out.err, form) {
					t.Errorf("%s has the secret %q:\n%s", name, form, content)
				}
			}
		}
	}
	slices.Sort(names)
	want := []string{
		"doctor.json", "health.json", "logs/proxy-1/proxy.log", "logs/proxy-1/proxy.previous.log", "metrics/proxy-1.txt", "notes.txt",
		"objects/apps.yaml", "objects/deployments.yaml", "objects/events.yaml", "objects/externalregistries.yaml", "objects/licenses.yaml",
		"objects/packageinstalls.yaml", "objects/pods.yaml", "objects/secretexports.yaml", "objects/secretimports.yaml",
		"objects/secrets.yaml", "objects/services.yaml", "settings/values.yml", "versions.json",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	for name, part := range map[string]string{ // it is of use all the same
		"logs/proxy-1/proxy.log": "an honest line of tap-local-source-system", "metrics/proxy-1.txt": "lsp_requests_total 7", "objects/events.yaml": "FailedMount",
		"objects/deployments.yaml": "type: Available", "objects/licenses.yaml": "appSlug: shop", "objects/pods.yaml": "node: node-1",
		"objects/secrets.yaml": "name: push", "settings/values.yml": "repository: registry.example.com/team/source",
		"versions.json": "v1.34.0", "health.json": `"overall_health": true`, "doctor.json": "push scope",
	} {
		if !strings.Contains(got[name], part) {
			t.Errorf("%s lacks %q:\n%s", name, part, got[name])
		}
	}
	for _, bad := range [][]string{{"--tail", "0"}, {"--server", "http://localhost:1"}, {"more"}} {
		w.run(append([]string{"support-bundle"}, bad...)...).want(t, 2, "", "")
	}
}

// TestSupportBundleWithoutRights: what may not be read is a note. There is a bundle.
func TestSupportBundleWithoutRights(t *testing.T) {
	w := newWorld(t)
	w.secretsOfTheCluster()
	w.api.Pods.Refuse = true
	t.Chdir(t.TempDir())
	out := w.run("support-bundle", "--context", "stranger")
	out.want(t, 0, `lsp-support-\d{8}T\d{6}Z\.tar\.gz\n`, "Not in the archive: secrets: you may not read this: ")
	got := unpack(t, strings.TrimSpace(out.out))
	for _, part := range []string{"events: you may not read this: ", "logs/proxy-1/proxy.log: you may not read this: ", "secrets: what they hold is not known"} {
		if !strings.Contains(got["notes.txt"], part) {
			t.Errorf("the notes lack %q:\n%s", part, got["notes.txt"])
		}
	}
	if !strings.Contains(got["health.json"], `"user_has_permission": false`) {
		t.Errorf("health %s", got["health.json"])
	}
	w.cluster.Close() // nobody answers
	w.run("support-bundle", "-f", "none.tar.gz").want(t, 0, "none.tar.gz\n", "Not in the archive: pods: ")
	t.Setenv("KUBECONFIG", "/nonexistent")
	w.run("support-bundle").want(t, 1, "", "there is no kubeconfig")
}
