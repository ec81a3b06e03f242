// SPDX-License-Identifier: Apache-2.0

package preflight_test

import (
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/diagnosis"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
	"github.com/local-source-proxy/local-source-proxy/src/internal/preflight"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// run checks a registry by its real address, as DNS and TCP are steps of their own.
func run(t *testing.T, cfg upstream.Config) (steps []diagnosis.Step, err error) {
	t.Helper()
	unfiled := ""
	if cfg.RetryDelay = 1; cfg.Keychain == nil {
		cfg.Keychain = proxytest.Robot()
	} else {
		unfiled = `the docker config has no credential for registry.example.com: it has some for "quay.io"`
	}
	registry, err := upstream.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(registry.Close)
	err = preflight.CheckPush(t.Context(), registry, proxytest.Repository, unfiled, func(s diagnosis.Step) { steps = append(steps, s) })
	return steps, err
}

func results(steps []diagnosis.Step) []string {
	var all []string
	for _, s := range steps {
		all = append(all, fmt.Sprint(s.Name, " ", s.Status))
	}
	return all
}

// address of a server of a test's network.
func address(server *httptest.Server) string { return server.Listener.Addr().String() }

func TestAWayThatIsFree(t *testing.T) {
	network, double := registrytest.NewNetwork(t), registrytest.NewRegistry(t)
	double.GuardBy(registrytest.Basic(proxytest.User, proxytest.Password))
	steps, err := run(t, upstream.Config{Host: address(network.Serve("127.0.0.1", double)), CACertData: network.CA()})
	want := []string{"dns ok", "tcp ok", "tls ok", "ping ok", "token ok", "push scope ok", "upload cancel ok"}
	if diff := cmp.Diff(want, results(steps)); diff != "" || err != nil {
		t.Errorf("%v, steps (-want +got):\n%s", err, diff)
	}
	for _, s := range steps {
		if s.Detail == "" || s.Remedy != "" {
			t.Errorf("step %+v", s)
		}
	}
	if double.Uploads() != 0 {
		t.Error("an upload was left open")
	}
}

// TestTheFirstStepThatFails is named, with what to do about it, and is the last.
func TestTheFirstStepThatFails(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	for name, test := range map[string]struct {
		arrange      func(network *registrytest.Network, double *registrytest.Registry) upstream.Config
		step, remedy string
	}{
		"no such name": {func(*registrytest.Network, *registrytest.Registry) upstream.Config {
			return upstream.Config{Host: "registry.invalid"}
		}, "dns", "repository"},
		"nobody listens": {func(*registrytest.Network, *registrytest.Registry) upstream.Config {
			return upstream.Config{Host: closed.Addr().String()}
		}, "tcp", "port"},
		"an unknown authority": {func(n *registrytest.Network, double *registrytest.Registry) upstream.Config {
			return upstream.Config{Host: address(n.Serve("127.0.0.1", double))}
		}, "tls", "ca_cert_data"},
		"not a registry": {func(n *registrytest.Network, double *registrytest.Registry) upstream.Config {
			double.When("", "/v2/").Answer(500, "")
			return upstream.Config{Host: address(n.Serve("127.0.0.1", double)), CACertData: n.CA()}
		}, "ping", "host and port"},
		"a foreign realm": {func(n *registrytest.Network, double *registrytest.Registry) upstream.Config {
			double.GuardBy((&registrytest.Realm{URL: "https://auth.example.net/"}).Guard)
			return upstream.Config{Host: address(n.Serve("127.0.0.1", double)), CACertData: n.CA()}
		}, "token", "if auth.example.net is the registry's token server and may be shown the credential, add it to token_realms"},
		"a realm that is nowhere": {func(n *registrytest.Network, double *registrytest.Registry) upstream.Config {
			double.GuardBy((&registrytest.Realm{URL: "/token"}).Guard)
			return upstream.Config{Host: address(n.Serve("127.0.0.1", double)), CACertData: n.CA()}
		}, "token", "by a URL with https"},
		// quirk D12
		"a portal": {func(n *registrytest.Network, double *registrytest.Registry) upstream.Config {
			double.When("", "/v2/").Answer(200, "<html>Please log in</html>", "Content-Type", "text/html")
			return upstream.Config{Host: address(n.Serve("127.0.0.1", double)), CACertData: n.CA()}
		}, "ping", "portal"},
		// quirk A14
		"a registry that is busy": {func(n *registrytest.Network, double *registrytest.Registry) upstream.Config {
			double.When("", "/v2/").Answer(429, "", "Retry-After", "60")
			return upstream.Config{Host: address(n.Serve("127.0.0.1", double)), CACertData: n.CA()}
		}, "ping", "later"},
		"a wrong password": {func(n *registrytest.Network, double *registrytest.Registry) upstream.Config {
			double.GuardBy(registrytest.Basic(proxytest.User, "another"))
			return upstream.Config{Host: address(n.Serve("127.0.0.1", double)), CACertData: n.CA()}
		}, "token", "does not know this user name and password"},
		"an account without the right, as 401": {func(n *registrytest.Network, double *registrytest.Registry) upstream.Config {
			double.GuardBy(registrytest.Basic(proxytest.User, proxytest.Password))
			double.When("POST", "").Answer(401, "")
			return upstream.Config{Host: address(n.Serve("127.0.0.1", double)), CACertData: n.CA()}
		}, "push scope", "right to push"},
		"an account without the right": {func(n *registrytest.Network, double *registrytest.Registry) upstream.Config {
			double.GuardBy(registrytest.Basic(proxytest.User, proxytest.Password))
			double.When("POST", "").Answer(403, "")
			return upstream.Config{Host: address(n.Serve("127.0.0.1", double)), CACertData: n.CA()}
		}, "push scope", "right to push"},
		"a credential for another host": {func(n *registrytest.Network, double *registrytest.Registry) upstream.Config {
			double.GuardBy(registrytest.Basic(proxytest.User, proxytest.Password))
			return upstream.Config{Host: address(n.Serve("127.0.0.1", double)), CACertData: n.CA(), Keychain: keychain.Chain()}
		}, "push scope", `it has some for "quay.io": file the credential under`},
		"plain HTTP at a port that speaks TLS": {func(n *registrytest.Network, double *registrytest.Registry) upstream.Config {
			return upstream.Config{Host: address(n.Serve("127.0.0.1", double)), PlainHTTP: true}
		}, "tls", "remove plain_http"},
		"a missing repository": {func(n *registrytest.Network, double *registrytest.Registry) upstream.Config {
			double.When("POST", "").Answer(404, "")
			return upstream.Config{Host: address(n.Serve("127.0.0.1", double)), CACertData: n.CA()}
		}, "push scope", "create the repository"},
	} {
		t.Run(name, func(t *testing.T) {
			network, double := registrytest.NewNetwork(t), registrytest.NewRegistry(t)
			steps, err := run(t, test.arrange(network, double))
			last := steps[len(steps)-1]
			if !errors.Is(err, preflight.ErrFailed) || last.Name != test.step || last.Status != diagnosis.Failed || !strings.Contains(last.Remedy, test.remedy) {
				t.Errorf("%v, %+v", err, steps)
			}
			if strings.Contains(last.Detail, "\n") || strings.Contains(fmt.Sprint(steps), proxytest.Password) {
				t.Errorf("the detail is %q", last.Detail)
			}
			for _, s := range steps[:len(steps)-1] {
				if s.Status == diagnosis.Failed {
					t.Errorf("went on after %+v", s)
				}
			}
		})
	}
}

func TestPlainHTTPOnLoopback(t *testing.T) {
	network, double := registrytest.NewNetwork(t), registrytest.NewRegistry(t)
	double.When("DELETE", "/uploads/").Answer(405, "")
	steps, err := run(t, upstream.Config{Host: address(network.ServePlain("127.0.0.1", double))})
	want := []string{"dns ok", "tcp ok", "tls skipped", "ping ok", "token skipped", "push scope ok", "upload cancel skipped"}
	if diff := cmp.Diff(want, results(steps)); diff != "" || err != nil {
		t.Errorf("%v, steps (-want +got):\n%s", err, diff)
	}
}
