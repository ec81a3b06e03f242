// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

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
		eventually(t, 2*time.Minute, what, func() error {
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
	t.Run("kapp changes nothing", func(t *testing.T) {
		reconcileAgain(t).changesNothing(t)
		settled("and it works still")
	})
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
	t.Run("kapp takes the restored Secret up, and changes nothing after it", func(t *testing.T) {
		reconcileAgain(t)
		reconcileAgain(t).changesNothing(t)
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
	t.Run("the front proxy is rotated", func(t *testing.T) { rotateFrontProxy(t, developer) })
}

// rotateFrontProxy has the API server show itself by another CA's certificate, and puts the first one back.
func rotateFrontProxy(t *testing.T, developer *throughAPIServer) {
	t.Helper()
	pki := filepath.Join(here.dir, "pki")
	parts := []string{"front-proxy-ca%s.crt", "front-proxy%s.crt", "front-proxy%s.key"}
	replace := func(to, from string) {
		t.Helper()
		for _, part := range parts {
			content, err := os.ReadFile(filepath.Join(pki, fmt.Sprintf(part, from)))
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(pki, fmt.Sprintf(part, to)), string(content))
		}
	}
	replace("-before", "")
	t.Cleanup(func() { replace("", "-before") })
	replace("", "-next")
	// The API server reads its files, tells the cluster, and the pods follow that.
	eventually(t, 3*time.Minute, "the pods take the next front proxy's word", func() error {
		for _, p := range pods(t) {
			if status := askPod(t, p, namespaced("team-a")+"/v2/", certificates(t, "front-proxy-next")); status != http.StatusOK {
				return fmt.Errorf("%s answers %d", p.name, status)
			}
		}
		return nil
	})
	developer.expect(t, http.StatusOK, "GET", developer.way+"/v2/")
	if status := askPod(t, pods(t)[0], namespaced("team-a")+"/v2/", certificates(t, "front-proxy-other")); status != http.StatusUnauthorized {
		t.Errorf("another name of the same CA: status %d", status)
	}
}

// deployed is what kapp says that it did.
type deployed string

func (d deployed) changesNothing(t *testing.T) {
	t.Helper()
	if !strings.Contains(string(d), "0 create, 0 delete, 0 update") {
		t.Errorf("kapp has changed something:\n%s", d)
	}
}

// reconcileAgain has kapp-controller deploy the package once more, as it is.
func reconcileAgain(t *testing.T) deployed {
	t.Helper()
	since := nextSecond(t)
	for _, paused := range []string{"true", "false"} {
		kubectl(t, "patch", "packageinstall", "-n", installNamespace, "local-source-proxy", "--type=merge", "-p", `{"spec":{"paused":`+paused+`}}`)
		eventually(t, time.Minute, "paused: "+paused, func() error {
			got := kubectl(t, "get", "app", "-n", installNamespace, "local-source-proxy", "-o", "jsonpath={.spec.paused}")
			if got != paused && (paused == "true" || got != "") {
				return fmt.Errorf("the App says %q", got)
			}
			return nil
		})
	}
	reconciled(t, "local-source-proxy", here.versions[0], since)
	return deployed(kubectl(t, "get", "app", "-n", installNamespace, "local-source-proxy", "-o", "jsonpath={.status.deploy.stdout}"))
}
