// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// beStrangers reaches the port directly, as a pod does, without the API server's certificate.
func beStrangers(t *testing.T) {
	t.Helper()
	for who, shown := range map[string][]tls.Certificate{
		"nobody": nil, "another name of the same CA": certificates(t, "front-proxy-other"),
		"the API server by another CA": certificates(t, "kubelet-client"),
	} {
		for _, p := range pods(t) {
			for _, path := range []string{"/apis", "/healthz", namespaced("team-a") + "/v2/", namespaced("team-b") + "/health", "/v2/source/tags/list"} {
				if status := askPod(t, p, path, shown); status != http.StatusUnauthorized {
					t.Errorf("%s asks for %s: status %d", who, path, status)
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

// certificates are a client's, of pki/.
func certificates(t *testing.T, name string) []tls.Certificate {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(filepath.Join(here.dir, "pki", name+".crt"), filepath.Join(here.dir, "pki", name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	return []tls.Certificate{cert}
}

// askPod reaches a pod without the API server, says that it is for an administrator, and returns the status.
func askPod(t *testing.T, p pod, path string, shown []tls.Certificate) int {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true, // it is the server that has to find out
		Certificates:       shown,
	}}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+net.JoinHostPort(p.ip, "5004")+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"X-Remote-User": {"admin"}, "X-Remote-Group": {"system:masters"}}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}
