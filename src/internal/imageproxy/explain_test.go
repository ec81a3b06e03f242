// SPDX-License-Identifier: Apache-2.0

package imageproxy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

// TestDecisionsAreLogged at debug: one line a request, with the license, the registry's object and the rule, and
// without an id, a token or what the registry was shown.
func TestDecisionsAreLogged(t *testing.T) {
	for name, test := range map[string]struct {
		change   func(*world, *customer)
		path     string
		show     func(*world, *customer) proxytest.Option
		decision string
		want     map[string]string
	}{
		"admitted": {path: image + "/manifests/v1", decision: "admitted", want: map[string]string{
			"license": "acme-app", "app": "app", "registry": "quay", "credential": "license-id", "image": "quay.io/team/api", "reference": "v1",
			"rule": "the License is in force, of this application, and the ExternalRegistry is open to it",
		}},
		"greeting": {path: "/v2/", decision: "admitted", want: map[string]string{"license": "acme-app", "rule": "the License is in force"}},
		"token":    {path: "/v2/token?scope=repository:x:pull", decision: "admitted", want: map[string]string{"license": "acme-app", "rule": "a token, with which every request is decided anew"}},
		"revoked": {change: func(w *world, c *customer) { c.license.Revoked = true; w.admit(c) }, path: image + "/manifests/v1", decision: "refused",
			want: map[string]string{"license": "acme-app", "reason": "revoked", "rule": "the License is revoked"}},
		"expired": {change: func(w *world, c *customer) { c.license.Expires = time.Unix(1, 0); w.admit(c) }, path: image + "/manifests/v1", decision: "refused",
			want: map[string]string{"license": "acme-app", "reason": "expired"}},
		"another application": {path: "/v2/proxy/other/quay.io/team/api/manifests/v1", decision: "refused",
			want: map[string]string{"license": "acme-app", "reason": "other_app", "rule": "the License is for another application"}},
		"no registry": {path: "/v2/proxy/app/ghcr.io/team/api/manifests/v1", decision: "refused",
			want: map[string]string{"license": "acme-app", "reason": "registry_unknown", "rule": "no ExternalRegistry has this host name or alias"}},
		"no license": {show: func(*world, *customer) proxytest.Option { return proxytest.Basic("u", "planted-id") }, path: image + "/manifests/v1", decision: "refused",
			want: map[string]string{"license": "", "reason": "unknown_license", "rule": "no License has this id"}},
		"no image": {path: "/v2/team/api/manifests/v1", decision: "refused",
			want: map[string]string{"reason": "", "rule": "NAME_UNKNOWN"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, config{})
			acme := w.licensed("app")
			if test.change != nil {
				test.change(w, acme)
			}
			shown := acme.basic()
			if test.show != nil {
				shown = test.show(w, acme)
			}
			answer := w.Do("GET", test.path, shown)
			eventually(t, func() bool { return len(w.lines("pull")) == 1 })
			all := append(w.lines("admitted"), w.lines("refused")...)
			if len(all) != 1 || all[0]["msg"] != test.decision || all[0]["level"] != "DEBUG" || all[0]["id"] != answer.Header.Get("X-Request-Id") {
				t.Fatalf("logged %v", all)
			}
			for key, want := range test.want {
				got, _ := all[0][key].(string)
				if got, _, _ = strings.Cut(got, ": "); got != want {
					t.Errorf("%s is %q, want %q", key, got, want)
				}
			}
			for _, secret := range []string{acme.id, "planted-id", proxytest.Password, "scope="} {
				if strings.Contains(w.log.String(), secret) {
					t.Errorf("%q is in the log:\n%s", secret, w.log)
				}
			}
		})
	}
}

// TestARefusedCredentialIsExplained although the request was admitted before.
func TestARefusedCredentialIsExplained(t *testing.T) {
	w := newWorld(t, config{})
	acme := w.licensed("app")
	w.quay.GuardBy(registrytest.Basic(proxytest.User, "another"))
	w.Do("GET", image+"/manifests/v1", acme.basic()).Is(502)
	eventually(t, func() bool { return len(w.lines("refused")) == 1 })
	if got := w.lines("refused")[0]; len(w.lines("admitted")) != 1 || got["reason"] != "upstream_refused" || got["registry"] == "" {
		t.Errorf("logged %v", got)
	}
}
