// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
	"github.com/local-source-proxy/local-source-proxy/tests/internal/tokenserver"
)

const (
	service = "registry of the benchmark"
	// tokenLife is longer than any run, so that no way but the one that is measured for it fetches a token.
	tokenLife = 6 * time.Hour
	// connections that a client keeps open at most.
	connections = 256
)

// Site is a registry that wants tokens, and the proxy in front of it.
type Site struct {
	Registry *harness.Registry
	Server   *harness.Server

	realm   string
	storage string
}

// StartSite starts both. What the proxy and the clients know of the registry and its token server is rtt away; the registry keeps
// its blobs below storage.
func StartSite(t testing.TB, storage string, rtt time.Duration) *Site {
	t.Helper()
	tokens, err := tokenserver.New(tokenserver.Config{
		Service: service, ExpiresIn: tokenLife,
		Users: map[string]tokenserver.User{harness.Username: {
			Password: harness.Password,
			Rights:   []tokenserver.Scope{{Type: "repository", Name: harness.Repository, Actions: []string{"pull", "push"}}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(tokens)
	t.Cleanup(web.Close)
	s := &Site{storage: storage, realm: "http://" + away(t, strings.TrimPrefix(web.URL, "http://"), rtt) + "/token"}
	s.Registry = harness.Distribution{Program: harness.Tool(t, "registry"), Dir: storage, Token: map[string]any{
		"realm": s.realm, "service": service, "issuer": tokens.Issuer(),
		"rootcertbundle": harness.WriteFile(t, filepath.Join(t.TempDir(), "tokens.crt"), tokens.CertPEM()),
	}}.Start(t)
	s.Registry.Host = away(t, s.Registry.Host, rtt)
	s.Registry.Username, s.Registry.Password = harness.Username, harness.Password
	s.Server = harness.Start(t, harness.Options{Upstream: s.Registry})
	return s
}

// away gives an address by which another one is rtt away. It says localhost, because go-containerregistry takes no realm with a
// private IP address.
func away(t testing.TB, address string, rtt time.Duration) string {
	t.Helper()
	if rtt > 0 {
		target := address
		address = StartRelay(t, rtt, func() string { return target })
	}
	return strings.Replace(address, "127.0.0.1", "localhost", 1)
}

// Ways are the ways to the site's registry. The one through nginx is there when nginx is.
func (s *Site) Ways(t testing.TB, nginx string) []*Way {
	t.Helper()
	token := s.token(t)
	ways := []*Way{
		{Name: Direct, Base: "http://" + s.Registry.Host, Repository: harness.Repository, Token: token, HTTP: newClient(t)},
		{Name: Proxy, Base: "http://" + s.Server.Host, Repository: "source", HTTP: newClient(t), Server: &Meter{PID: s.Server.PID()}},
	}
	if nginx != "" {
		base, meter := startNginx(t, nginx, s.Registry.Host, token)
		ways = append(ways, &Way{Name: Nginx, Base: base, Repository: harness.Repository, HTTP: newClient(t), Server: meter})
	}
	return ways
}

// Wipe removes all that the registry has stored, so that each push stores its content anew.
func (s *Site) Wipe(t testing.TB) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(s.storage, "docker")); err != nil {
		t.Fatal(err)
	}
}

// token buys one, as a client with the operator's password would.
func (s *Site) token(t testing.TB) string {
	t.Helper()
	query := url.Values{"service": {service}, "scope": {"repository:" + harness.Repository + ":pull,push"}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.realm+"?"+query.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth(harness.Username, harness.Password)
	response, err := newClient(t).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct{ Token string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Token == "" {
		t.Fatalf("the token server answers %s without a token (%v)", response.Status, err)
	}
	return answer.Token
}

// newClient is the client of one way, with its own connections.
func newClient(t testing.TB) *http.Client {
	t.Helper()
	transport := &http.Transport{MaxIdleConns: connections, MaxIdleConnsPerHost: connections, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// Storage makes a directory for blobs: in memory where there is room for twice the most that is stored at once, so that no disk
// hides what a way costs. It says which.
func Storage(t testing.TB, plan Plan) (dir, kind string) {
	t.Helper()
	if plan.Memory == "" || freeMemory() < 2*plan.stored() {
		return t.TempDir(), "disk"
	}
	dir, err := os.MkdirTemp(plan.Memory, "") //nolint:usetesting // not where tests keep theirs: in memory
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir, "tmpfs"
}

// freeMemory is how many bytes Linux says are available; 0 elsewhere.
func freeMemory() int64 {
	content, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(content)) {
		var free int64
		if _, err := fmt.Sscanf(line, "MemAvailable: %d kB", &free); err == nil {
			return free * kib
		}
	}
	return 0
}
