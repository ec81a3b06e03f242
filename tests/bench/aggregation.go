// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

const (
	// developers is the namespace that the developer pushes for.
	developers = "bench"
	// apiService is the name of the namespaced API.
	apiService = "v1alpha1.localsource.apps.tanzu.vmware.com"
)

// kept are what the server needs before it starts.
const kept = `
apiVersion: v1
kind: Namespace
metadata: {name: %[1]s}
---
apiVersion: v1
kind: Namespace
metadata: {name: %[2]s}
---
apiVersion: v1
kind: Secret
metadata: {name: local-source-proxy-session-key, namespace: %[1]s}
---
apiVersion: v1
kind: Secret
metadata: {name: local-source-proxy-api-certificate, namespace: %[1]s}
`

// aggregated are what the package and Kubernetes' controllers would have made for the namespaced API at an IP
// address and port. Its right is the developer's in one namespace.
const aggregated = `
apiVersion: v1
kind: Service
metadata: {name: local-source-proxy-api, namespace: %[1]s}
spec: {ports: [{name: https, port: 443, targetPort: api}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: local-source-proxy-api
  namespace: %[1]s
  labels: {kubernetes.io/service-name: local-source-proxy-api}
addressType: IPv4
ports: [{name: https, port: %[4]s, protocol: TCP}]
endpoints: [{addresses: [%[3]s], conditions: {ready: true}}]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1alpha1.localsource.apps.tanzu.vmware.com}
spec:
  group: localsource.apps.tanzu.vmware.com
  version: v1alpha1
  service: {name: local-source-proxy-api, namespace: %[1]s, port: 443}
  groupPriorityMinimum: 1000
  versionPriority: 15
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: local-source-proxy-push, namespace: %[2]s}
rules:
- apiGroups: [localsource.apps.tanzu.vmware.com]
  resources: [sources/proxy]
  verbs: [create, get, update, patch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: local-source-proxy-push, namespace: %[2]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: local-source-proxy-push}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: developer}]
`

// asPod is a script that mounts a directory where pods have their service account, and becomes another
// program. Nobody else sees the mounts: they are in a mount namespace of its own.
const asPod = `mount -t tmpfs tmpfs /var/run && mkdir -p "$0" && mount --bind "$1" "$0" && shift && exec "$@"`

// Pod has a server find this API server as it does in a pod. It is the administrator here: the cluster's
// tests show that it needs less.
func (a *APIServer) Pod(t testing.TB) (prepare func(*exec.Cmd)) {
	t.Helper()
	host, port, err := net.SplitHostPort(a.Host)
	check(t, err)
	certificate, err := os.ReadFile(a.CAFile)
	check(t, err)
	account := t.TempDir()
	harness.WriteFile(t, filepath.Join(account, "ca.crt"), certificate)
	harness.WriteFile(t, filepath.Join(account, "token"), []byte(a.admin))
	harness.WriteFile(t, filepath.Join(account, "namespace"), []byte(namespace))
	unshare, err := exec.LookPath("unshare")
	check(t, err)
	return func(cmd *exec.Cmd) {
		cmd.Args = append([]string{
			unshare, "--mount", "sh", "-c", asPod, "/var/run/secrets/kubernetes.io/serviceaccount", account, cmd.Path,
		}, cmd.Args[1:]...)
		cmd.Path = unshare
		cmd.Env = append(cmd.Env, "KUBERNETES_SERVICE_HOST="+host, "KUBERNETES_SERVICE_PORT="+port)
	}
}

// aggregate puts a server behind the aggregation layer, and waits until the API server forwards to it.
func (a *APIServer) aggregate(t testing.TB, server string) {
	t.Helper()
	ip, port, err := net.SplitHostPort(server)
	check(t, err)
	check(t, a.try(t.Context(), fmt.Sprintf(aggregated, namespace, developers, ip, port), "create", "-f", "-"))
	harness.Eventually(t, "the API server forwards to the namespaced API", func(ctx context.Context) error {
		return a.try(ctx, "", "wait", "--for", "condition=Available", "--timeout", "1s", "apiservice/"+apiService)
	})
}

// frontProxy writes the certificate, and its key, by which the API server shows itself to the server. It is
// its own authority.
func frontProxy(t testing.TB, dir string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "front-proxy"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	check(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	write := func(name, kind string, raw []byte) string {
		return harness.WriteFile(t, filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}))
	}
	return write("front-proxy.crt", "CERTIFICATE", certificate), write("front-proxy.key", "PRIVATE KEY", private)
}
