// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// Cluster is what a real API server needs. scripts/bench.sh makes it where it can; what needs it is left out
// elsewhere.
type Cluster struct {
	// Kubernetes is a program that is kube-apiserver and kubectl by the name that it is called by.
	Kubernetes string
	// Plugin is kubectl-lsp.
	Plugin string
	// Address is an address of this machine that is not on loopback, where the API server wants all
	// endpoints. Nothing leaves the network namespace that it belongs to.
	Address string
	// Missing says what is not there; empty: all is.
	Missing string
}

// APIServer is a real kube-apiserver with etcd, and a user who may use the proxy behind its Service. No
// kubelet and no controller runs: the service proxy takes only endpoints that belong to a Pod, so one stands
// in the API that nobody runs.
type APIServer struct {
	// Host is its address, CAFile its own certificate, Token the user's.
	Host, CAFile, Token string
	Version             string

	kubectl string
	admin   string
}

// namespace is the package's.
const namespace = "tap-local-source-system"

// objects are what the package and Kubernetes' controllers would have made, for a proxy at an IP address and
// port.
const objects = `
apiVersion: v1
kind: Pod
metadata: {name: local-source-proxy}
spec: {containers: [{name: local-source-proxy, image: local-source-proxy}]}
---
apiVersion: v1
kind: Service
metadata: {name: local-source-proxy}
spec: {ports: [{name: http, port: 5001, targetPort: 5002}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: local-source-proxy}
subsets:
- addresses: [{ip: %[1]s, targetRef: {kind: Pod, name: local-source-proxy, namespace: %[3]s}}]
  ports: [{name: http, port: %[2]s}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: local-source-proxy}
rules: [{apiGroups: [""], resources: [services/proxy], resourceNames: ["http:local-source-proxy:5001"], verbs: [get, create, update, patch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: local-source-proxy}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: local-source-proxy}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: developer}]
`

// StartAPIServer starts both programs, and makes what the server needs before it starts.
func StartAPIServer(t testing.TB, cluster Cluster) *APIServer {
	t.Helper()
	dir := t.TempDir()
	api := &APIServer{
		Host: harness.FreeAddress(t), CAFile: filepath.Join(dir, "certificates", "apiserver.crt"), Token: rand.Text(), admin: rand.Text(),
		kubectl: filepath.Join(dir, "kubectl"),
	}
	program := filepath.Join(dir, "kube-apiserver")
	for _, name := range []string{api.kubectl, program} {
		check(t, os.Symlink(cluster.Kubernetes, name))
	}
	api.Version = lastField(firstLine(t, program, "--version"))
	etcd := "http://" + harness.FreeAddress(t)
	harness.StartProcess(t, "etcd", exec.Command("etcd", "--data-dir", filepath.Join(dir, "etcd"), "--listen-client-urls", etcd,
		"--advertise-client-urls", etcd, "--listen-peer-urls", "http://"+harness.FreeAddress(t)))
	_, port, err := net.SplitHostPort(api.Host)
	check(t, err)
	key := serviceAccountKey(t, filepath.Join(dir, "service-accounts.key"))
	tokens := harness.WriteFile(t, filepath.Join(dir, "tokens.csv"),
		fmt.Appendf(nil, "%s,admin,admin,system:masters\n%s,developer,developer,\n", api.admin, api.Token))
	front, frontKey := frontProxy(t, dir)
	harness.StartProcess(t, "kube-apiserver", exec.Command(program, "--etcd-servers", etcd, "--bind-address", "127.0.0.1",
		"--secure-port", port, "--advertise-address", cluster.Address, "--cert-dir", filepath.Dir(api.CAFile),
		"--service-cluster-ip-range", "10.96.0.0/16", "--token-auth-file", tokens, "--authorization-mode", "RBAC",
		"--service-account-issuer", "https://kubernetes.default.svc", "--service-account-key-file", key,
		"--service-account-signing-key-file", key,
		"--requestheader-client-ca-file", front, "--requestheader-allowed-names", "front-proxy",
		"--requestheader-username-headers", "X-Remote-User", "--requestheader-group-headers", "X-Remote-Group",
		"--requestheader-extra-headers-prefix", "X-Remote-Extra-",
		"--proxy-client-cert-file", front, "--proxy-client-key-file", frontKey,
		// No kube-proxy leads from a ClusterIP to the server.
		"--enable-aggregator-routing",
		// It would wait for the account that the controllers make, before it takes the Pod.
		"--disable-admission-plugins", "ServiceAccount"))
	harness.Eventually(t, "the API server is ready", func(ctx context.Context) error { return api.try(ctx, "", "get", "--raw", "/readyz") })
	check(t, api.try(t.Context(), fmt.Sprintf(kept, namespace, developers), "create", "-f", "-"))
	return api
}

// Expose puts a server behind the service proxy, and its namespaced API behind the aggregation layer.
func (a *APIServer) Expose(t testing.TB, server *harness.Server) {
	t.Helper()
	ip, port, err := net.SplitHostPort(server.Host)
	check(t, err)
	check(t, a.try(t.Context(), fmt.Sprintf(objects, ip, port, namespace), "create", "-n", namespace, "-f", "-"))
	check(t, a.try(t.Context(), "", "patch", "pod", "local-source-proxy", "-n", namespace, "--subresource=status",
		"-p", fmt.Sprintf(`{"status": {"phase": "Running", "podIP": %[1]q, "podIPs": [{"ip": %[1]q}]}}`, ip)))
	a.aggregate(t, server.API)
}

// try runs kubectl as the administrator.
func (a *APIServer) try(ctx context.Context, input string, args ...string) error {
	cmd := exec.CommandContext(ctx, a.kubectl, append([]string{
		"--kubeconfig", os.DevNull, "--server", "https://" + a.Host, "--certificate-authority", a.CAFile, "--token", a.admin,
		"--cache-dir", filepath.Join(filepath.Dir(a.kubectl), "cache"),
	}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl %s: %w: %s", args[0], err, out)
	}
	return nil
}

// serviceAccountKey writes one; nobody's token is signed with it.
func serviceAccountKey(t testing.TB, path string) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	check(t, err)
	return harness.WriteFile(t, path, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
}

// missing says what a cluster lacks.
func (c Cluster) missing() error {
	if c.Missing != "" {
		return errors.New(c.Missing)
	}
	for what, value := range map[string]string{"Kubernetes": c.Kubernetes, "kubectl-lsp": c.Plugin, "an address beside loopback": c.Address} {
		if value == "" {
			return fmt.Errorf("%s is not given", what)
		}
	}
	return nil
}
