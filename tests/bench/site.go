// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
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

// repositoryOfNamespace is where the namespaced API pushes to.
const repositoryOfNamespace = harness.Repository + "/" + developers

// Place is what a site is like.
type Place struct {
	// Storage is where the registry keeps its blobs.
	Storage string
	// Line lies between the registry with its token server, and the proxy and the clients.
	Line Line
	// TLS is what both are served with; nil: plain HTTP.
	TLS *harness.Certificates
	// CutAfter is how many bytes of answers a connection to the registry carries before it breaks; 0: it does
	// not.
	CutAfter int64
	// Flags are added to the proxy's, and Prepare changes its command ahead of its start; nil: it stays as it is.
	Flags   []string
	Prepare func(*exec.Cmd)
}

// Site is a registry that wants tokens, and the proxy in front of it.
type Site struct {
	Registry *harness.Registry
	Server   *harness.Server

	place Place
	realm string
	// straight is the registry's own URL, past whatever the place puts in front of it.
	straight string
	ways     []*Way
}

// StartSite starts both.
func StartSite(t testing.TB, place Place) *Site {
	t.Helper()
	tokens, err := tokenserver.New(tokenserver.Config{
		Service: service, ExpiresIn: tokenLife,
		Users: map[string]tokenserver.User{harness.Username: {
			Password: harness.Password,
			Rights: []tokenserver.Scope{
				{Type: "repository", Name: harness.Repository, Actions: []string{"pull", "push"}},
				{Type: "repository", Name: repositoryOfNamespace, Actions: []string{"pull", "push"}},
			},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &Site{place: place, realm: serve(t, tokens, place) + "/token"}
	s.Registry = harness.Distribution{Program: harness.Tool(t, "registry"), Dir: place.Storage, TLS: place.TLS, Token: map[string]any{
		"realm": s.realm, "service": service, "issuer": tokens.Issuer(),
		"rootcertbundle": harness.WriteFile(t, filepath.Join(t.TempDir(), "tokens.crt"), tokens.CertPEM()),
	}}.Start(t)
	s.straight = s.Registry.URL("")
	if place.CutAfter > 0 {
		s.Registry.Host = cutting(t, s.Registry.Host, place.CutAfter)
	}
	s.Registry.Host = away(t, s.Registry.Host, place.Line)
	s.Registry.Username, s.Registry.Password = harness.Username, harness.Password
	s.Server = harness.Start(t, harness.Options{Upstream: s.Registry, Flags: place.Flags, Environment: podEnvironment(), Prepare: place.Prepare})
	return s
}

// podEnvironment is what the package's pods run with, by their limits of half a CPU and 100 MiB
// (config/workload.lib.yml). The limits themselves are not there.
func podEnvironment() []string { return []string{"GOMAXPROCS=1", "GOMEMLIMIT=90MiB"} }

// serverCommand is the server as a pod runs it.
func serverCommand(args ...string) *exec.Cmd {
	cmd := harness.Command(args...)
	cmd.Env = append(cmd.Env, podEnvironment()...)
	return cmd
}

// serve serves the tokens, and gives the base URL.
func serve(t testing.TB, tokens http.Handler, place Place) string {
	t.Helper()
	web := httptest.NewUnstartedServer(tokens)
	if place.TLS == nil {
		web.Start()
	} else {
		certificate, err := tls.LoadX509KeyPair(place.TLS.CertFile, place.TLS.KeyFile)
		check(t, err)
		web.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
		web.StartTLS()
	}
	t.Cleanup(web.Close)
	scheme, address, _ := strings.Cut(web.URL, "://")
	return scheme + "://" + away(t, address, place.Line)
}

// away gives an address by which another one is at the end of a line. It says localhost, because
// go-containerregistry takes no realm with a private IP address.
func away(t testing.TB, address string, line Line) string {
	t.Helper()
	if line != (Line{}) {
		target := address
		address = StartRelay(t, line, func() string { return target })
	}
	return strings.Replace(address, "127.0.0.1", "localhost", 1)
}

// open gives the site its ways to the registry. The one through nginx is there when nginx is.
func (s *Site) open(t testing.TB, nginx string) {
	t.Helper()
	token := s.token(t)
	s.ways = []*Way{
		{Name: Direct, Base: s.Registry.URL(""), Repository: harness.Repository, Token: token, HTTP: newClient(t, s.Registry.CA)},
		{Name: Proxy, Base: "http://" + s.Server.Host, Repository: "source", HTTP: newClient(t, nil), Server: &Meter{PID: s.Server.PID()}},
	}
	if nginx != "" {
		base, meter := startNginx(t, nginx, s.Registry, token)
		s.ways = append(s.ways, &Way{Name: Nginx, Base: base, Repository: harness.Repository, HTTP: newClient(t, nil), Server: meter})
	}
}

// way finds a way by its name.
func (s *Site) way(name string) *Way {
	for _, way := range s.ways {
		if way.Name == name {
			return way
		}
	}
	return nil
}

// Wipe removes all that the registry has stored, so that each push stores its content anew.
func (s *Site) Wipe(t testing.TB) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(s.place.Storage, "docker")); err != nil {
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
	response, err := newClient(t, s.Registry.CA).Do(request)
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

// newClient is the client of one way, with its own connections. It trusts certificates in PEM, or the
// system's where there are none.
func newClient(t testing.TB, certificates []byte) *http.Client {
	t.Helper()
	transport := &http.Transport{MaxIdleConns: connections, MaxIdleConnsPerHost: connections, DisableCompression: true}
	if len(certificates) > 0 {
		transport.TLSClientConfig = trusting(t, certificates)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// trusting trusts certificates in PEM, and no others.
func trusting(t testing.TB, certificates []byte) *tls.Config {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(certificates) {
		t.Fatalf("no certificate in PEM: %.100q", certificates)
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

// Storage makes a directory for blobs: in memory where there is room for twice the most that is stored at
// once, so that no disk hides what a way costs. It says which.
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
