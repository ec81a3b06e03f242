// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/tokenserver"
)

// repository is where the upstream's accounts may push, beside those of the two teams below it, and nowhere else.
const repository = "team/source"

// upstream is the organisation's registry: distribution v3 that wants a token, with TLS of a private CA.
type upstream struct {
	host     string
	tokens   *tokenserver.Server
	user     string
	password string

	config string
	log    *os.File
	cmd    *exec.Cmd
}

// startUpstream runs a registry and its token server in the cluster's network until the test ends.
func startUpstream(t *testing.T) *upstream {
	t.Helper()
	tokens, err := tokenserver.New(tokenserver.Config{Service: "upstream", Issuer: "upstream"})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.LoadX509KeyPair(filepath.Join(here.dir, "pki", "registry.crt"), filepath.Join(here.dir, "pki", "registry.key"))
	if err != nil {
		t.Fatal(err)
	}
	realm := httptest.NewUnstartedServer(tokens)
	realm.Listener.Close()
	realm.Listener = listen(t)
	realm.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	realm.StartTLS()
	t.Cleanup(realm.Close)

	dir := t.TempDir()
	u := &upstream{host: freeAddress(t), tokens: tokens, config: filepath.Join(dir, "registry.yml")}
	u.user, u.password = "robot", u.addAccount("robot")
	if err := os.WriteFile(filepath.Join(dir, "tokens.crt"), tokens.CertPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(`version: 0.1
log: {level: info}
storage: {filesystem: {rootdirectory: %[1]s/storage}}
http: {addr: %[2]q, tls: {certificate: %[3]s/registry.crt, key: %[3]s/registry.key}}
auth: {token: {realm: %[4]q, service: upstream, issuer: upstream, rootcertbundle: %[1]s/tokens.crt}}
`, dir, u.host, filepath.Join(here.dir, "pki"), realm.URL+"/token")
	if err := os.WriteFile(u.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if u.log, err = os.Create(filepath.Join(dir, "registry.log")); err != nil {
		t.Fatal(err)
	}
	u.start(t)
	t.Cleanup(func() {
		u.stop()
		if t.Failed() {
			content, _ := os.ReadFile(u.log.Name())
			t.Logf("the end of the upstream registry's log:\n%s", content[max(0, len(content)-8000):])
		}
		u.log.Close()
	})
	step(t, "an upstream registry with tokens and a private CA is at %s", u.host)
	return u
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", nodeIP+":0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// freeAddress is for a registry that listens again where it did before. Linux hands out ports from 32768 on, and
// a cluster those from 30000 on, so nobody else takes this one meanwhile.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("%s:%d", nodeIP, 15_000+mathrand.IntN(15_000))
		if listener, err := net.Listen("tcp", address); err == nil {
			_ = listener.Close()
			return address
		}
	}
	t.Fatal("no free port")
	return ""
}

// addAccount makes an account that may push, and returns its password.
func (u *upstream) addAccount(name string) string {
	password := rand.Text()
	var rights []tokenserver.Scope
	for _, below := range []string{"", "/default", "/team-a", "/team-a/team-b", "/team-b"} {
		rights = append(rights, tokenserver.Scope{Type: "repository", Name: repository + below, Actions: []string{"pull", "push"}})
	}
	u.tokens.SetUser(name, tokenserver.User{Password: password, Rights: rights})
	return password
}

func (u *upstream) start(t *testing.T) {
	t.Helper()
	u.cmd = exec.Command(here.registry, "serve", u.config)
	u.cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	u.cmd.Stdout, u.cmd.Stderr = u.log, u.log
	u.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := u.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(2 * time.Minute)
	for {
		conn, err := net.Dial("tcp", u.host)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the upstream registry does not listen: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (u *upstream) stop() {
	if u.cmd == nil {
		return
	}
	_ = u.cmd.Process.Kill()
	_ = u.cmd.Wait()
	u.cmd = nil
}

// dockerConfig is the Secret's content for an account.
func (u *upstream) dockerConfig(user, password string) string {
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	return fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, u.host, auth)
}

// options are for reading the upstream as its operator.
func (u *upstream) options(t *testing.T, repository string) []remote.Option {
	t.Helper()
	// The library fetches no token from a private address, which every address in the cluster is.
	return []remote.Option{
		remote.WithContext(t.Context()),
		remote.WithTransport(&bearer{token: u.token(t, repository), inner: &http.Transport{TLSClientConfig: trusting(t, "ca.crt")}}),
	}
}

type bearer struct {
	token string
	inner http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.inner.RoundTrip(r)
}

// token gets one for reading.
func (u *upstream) token(t *testing.T, repository string) string {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/token?service=upstream&scope=repository:"+repository+":pull", nil)
	r.SetBasicAuth(u.user, u.password)
	answer := httptest.NewRecorder()
	u.tokens.ServeHTTP(answer, r)
	var body struct{ Token string }
	if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil || body.Token == "" {
		t.Fatalf("no token for reading: status %d", answer.Code)
	}
	return body.Token
}
