// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/source"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

// health reads /health as the existing clients do.
func health(t *testing.T, answer *proxytest.Answer) (status, message string) {
	t.Helper()
	var body map[string]string
	if err := json.Unmarshal(answer.Body, &body); err != nil || len(body) != 2 {
		t.Fatalf("the answer is %s", answer.Body)
	}
	message, err := url.QueryUnescape(body["message"])
	if err != nil || url.QueryEscape(message) != body["message"] {
		t.Errorf("the message is not escaped as in a query: %q", body["message"])
	}
	return body["statuscode"], message
}

func TestHealthOfARegistryThatTakesPushes(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	status, message := health(t, p.Do("GET", "/health").Is(200).Has("Content-Type", "application/json"))
	if status != "200" || message == "" {
		t.Errorf("reported %s: %s", status, message)
	}
	p.Asked("POST blobs/uploads/", "DELETE blobs/uploads/upload-1")
	if n := registry.Uploads(); n != 0 {
		t.Errorf("%d uploads were left open", n)
	}
}

func TestHealthOfARegistryThatRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		arrange func(p *proxytest.Proxy, registry *registrytest.Registry)
		status  string
		says    string
	}{
		"a token server that is not its own": {func(_ *proxytest.Proxy, registry *registrytest.Registry) { // quirk A12
			registry.GuardBy((&registrytest.Realm{URL: "https://auth.example.net/token"}).Guard)
		}, "502", "the operator can allow it by token_realms"},
		"a portal": {func(_ *proxytest.Proxy, registry *registrytest.Registry) { // quirk D12
			registry.When("", "").Answer(200, "<html>Please log in</html>", "Content-Type", "text/html")
		}, "502", "a web page answers in its place"},
		"a token server with too much to do": {func(p *proxytest.Proxy, registry *registrytest.Registry) { // quirk A14
			registry.GuardBy((&registrytest.Realm{URL: "https://auth.example.com/token"}).Guard)
			p.Network.Serve("auth.example.com", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) }))
		}, "429", "try again later"},
		"credential": {func(_ *proxytest.Proxy, registry *registrytest.Registry) {
			registry.GuardBy(registrytest.Basic("somebody", "else"))
		}, "401", "authentication required"},
		"credential, at the token server": {func(p *proxytest.Proxy, registry *registrytest.Registry) {
			realm := &registrytest.Realm{URL: "https://auth.example.com/token"}
			p.Network.Serve("auth.example.com", realm)
			registry.GuardBy(realm.Guard)
		}, "401", "token server"},
		"rights, by granting fewer than asked": {func(p *proxytest.Proxy, registry *registrytest.Registry) {
			realm := &registrytest.Realm{URL: "https://auth.example.com/token", User: proxytest.User, Password: proxytest.Password, Grant: func(asked []string) []string {
				return []string{strings.TrimSuffix(asked[0], ",push")}
			}}
			p.Network.Serve("auth.example.com", realm)
			registry.GuardBy(realm.Guard)
		}, "401", "authentication required"},
		"rights": {func(_ *proxytest.Proxy, registry *registrytest.Registry) {
			registry.When("POST", "").Answer(403, `{"errors":[{"code":"DENIED","message":"pushes are frozen & closed: 100%"}]}`)
		}, "403", "pushes are frozen & closed: 100%"},
		"repository": {func(_ *proxytest.Proxy, registry *registrytest.Registry) {
			registry.When("POST", "").Answer(404, `{"errors":[{"code":"NAME_UNKNOWN","message":"create it first"}]}`)
		}, "404", "create it first"},
		"everything": {func(_ *proxytest.Proxy, registry *registrytest.Registry) {
			registry.When("POST", "").Answer(503, `<html>down</html>`)
		}, "503", "Service Unavailable"},
		"answers": {func(_ *proxytest.Proxy, registry *registrytest.Registry) { registry.When("", "").BreakOff() }, "502", "cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			p, registry := proxytest.Simple(t, proxytest.Config{})
			test.arrange(p, registry)
			status, message := health(t, p.Do("GET", "/health").Is(200).Hides(proxytest.Password, "auth.example.com", "127.0.0.1"))
			if status != test.status || !strings.Contains(message, test.says) {
				t.Errorf("reported %s: %s; want %s: %s", status, message, test.status, test.says)
			}
			if log := p.Log.String(); !strings.Contains(log, `"error":"`) {
				t.Errorf("the log does not say what is wrong: %s", log)
			}
		})
	}
}

func TestHealthOfARegistryThatIsNotThere(t *testing.T) {
	for host, says := range map[string]string{"nowhere.example.com": "does not resolve", "untrusted.example.com": "ca_cert_data"} {
		network := registrytest.NewNetwork(t)
		network.Serve("untrusted.example.com", registrytest.NewRegistry(t))
		p := proxytest.New(t, network, proxytest.Config{Host: host, Untrusted: true})
		status, message := health(t, p.Do("GET", "/health").Is(200).Hides("192.0.2.53"))
		if status != "502" || !strings.Contains(message, says) {
			t.Errorf("%s: reported %s: %s", host, status, message)
		}
	}
}

func TestHealthWithoutCredential(t *testing.T) {
	p, _ := proxytest.Simple(t, proxytest.Config{Keychain: keychain.Func(failing)})
	status, message := health(t, p.Do("GET", "/health").Is(200).Hides("/etc/secret"))
	if status != "502" || !strings.Contains(message, "credential") {
		t.Errorf("reported %s: %s", status, message)
	}
}

func TestHealthUnconfigured(t *testing.T) {
	p, _ := proxytest.Simple(t, proxytest.Config{})
	p.Upstream = &source.Upstream{Problem: errors.New("repository is empty: set it to registry/path")}
	status, message := health(t, p.Do("GET", "/health").Is(500))
	if want := "registry server configuration in the cluster is invalid: repository is empty: set it to registry/path"; status != "500" || message != want {
		t.Errorf("reported %s: %s; want %s", status, message, want)
	}
}

func TestHealthAsksForPushScope(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	realm := &registrytest.Realm{URL: "https://auth.example.com/token", User: proxytest.User, Password: proxytest.Password}
	p.Network.Serve("auth.example.com", realm)
	registry.GuardBy(realm.Guard)
	if status, message := health(t, p.Do("GET", "/health")); status != "200" {
		t.Errorf("reported %s: %s", status, message)
	}
	p.Network.One(registrytest.To("auth.example.com"), registrytest.Mentions("repository%3Ateam%2Fcode%3Apull%2Cpush"))
}

// TestHealthIsShared: callers at the same time, and for seconds after, have one look at the registry among
// them.
func TestHealthIsShared(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	arrived, release := make(chan struct{}), make(chan struct{})
	registry.When("POST", "").Do(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		close(arrived)
		<-release
		next.ServeHTTP(w, r)
	})
	var callers sync.WaitGroup
	for range 20 {
		callers.Go(func() { p.Do("GET", "/health").Is(200) })
	}
	<-arrived
	close(release)
	callers.Wait()
	p.Do("GET", "/health").Is(200)
	p.Network.Count(1, registrytest.Sent("POST", ""))
}

// TestHealthOfANewConfiguration is looked at anew: the last one's is not its.
func TestHealthOfANewConfiguration(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	p.Do("GET", "/health").Is(200)
	p.Upstream = &source.Upstream{Registry: p.Upstream.Registry, Repository: "team/another"}
	registry.When("POST", "/team/another/").Answer(403, "")
	if status, _ := health(t, p.Do("GET", "/health").Is(200)); status != "403" {
		t.Errorf("reported %s", status)
	}
}

func TestHealthCanOnlyBeRead(t *testing.T) {
	p, _ := proxytest.Simple(t, proxytest.Config{})
	p.Do("HEAD", "/health").Is(200)
	p.Do("POST", "/health").Fails(405, oci.Unsupported).Has("Allow", "GET, HEAD")
}
