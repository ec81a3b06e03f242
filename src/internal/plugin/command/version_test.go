// SPDX-License-Identifier: Apache-2.0

package command

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/doctor"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/lsptest"
)

func TestVersion(t *testing.T) {
	w := newWorld(t)
	w.run("version").want(t, 0, "Client: .*\nServer: unknown\n", "")
	w.registry.Fail = func(rw http.ResponseWriter, _ *http.Request) bool {
		rw.Header().Set("Server", "local-source-proxy/0.3.0")
		return false
	}
	w.run("version").want(t, 0, "Client: .*\nServer: 0.3.0\n", "")
	w.run("version", "--client").want(t, 0, "Client: [^\n]*\n", "")
	var got versions
	out := w.run("version", "-o", "json")
	if err := json.Unmarshal([]byte(out.out), &got); err != nil || got.Server != "0.3.0" || got.Client.Version == "" {
		t.Errorf("%v: %+v", err, out)
	}
	w.cluster.Set(lsptest.Absent)
	w.run("version").want(t, 0, "Client: .*\nServer: unknown\n", "The proxy's version is not known: the local source proxy is not installed")
}

// TestVerbose: -v shows what kubectl's does, and never what opens anything.
func TestVerbose(t *testing.T) {
	w := newWorld(t)
	push := []string{"push", "--name", "web", "--local-path", w.tree}
	if out := w.run(append(push, "-v=5")...); strings.Contains(out.err, "milliseconds") {
		t.Errorf("-v=5 shows requests:\n%s", out.err)
	}
	w.write("main.go", "package changed\n")
	out := w.run(append(push, "-v=6")...)
	line := regexp.MustCompile(`(?m)^PATCH https://127\.0\.0\.1:\d+/api/v1/.*/proxy/v2/source/blobs/uploads/\.\.\. 202 Accepted in \d+ milliseconds$`)
	if out.code != 0 || !line.MatchString(out.err) {
		t.Errorf("-v=6: exit code %d\n%s", out.code, out.err)
	}
	for _, secret := range []string{lsptest.Developer, "session-", "digest="} {
		if strings.Contains(out.err, secret) {
			t.Errorf("-v=6 shows %q:\n%s", secret, out.err)
		}
	}
	w.run("license", "list", "-v", "6").want(t, 0, "", "/licenses 200 OK in ")
}

// TestHealthAlwaysPrints: a script that names a format gets its object, whatever happens.
func TestHealthAlwaysPrints(t *testing.T) {
	w := newWorld(t)
	w.cluster.Close()
	for _, args := range [][]string{{"-o", "json"}, {"-o", "yaml"}, {"-o", "json", "--kubeconfig", "/no/such"}} {
		out := w.run(append([]string{"health"}, args...)...)
		if out.code != 1 || !strings.Contains(out.out, "Local source proxy cannot be reached.") || strings.Count(out.err, "\n") != 1 {
			t.Errorf("%v: %+v", args, out)
		}
		var health doctor.Health
		if args[1] == "json" && (json.Unmarshal([]byte(out.out), &health) != nil || health.OverallHealth) {
			t.Errorf("%v: %s", args, out.out)
		}
	}
}
