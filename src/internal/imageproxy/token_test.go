// SPDX-License-Identifier: Apache-2.0

package imageproxy_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keyfile"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
)

const scope = "repository:proxy/app/quay.io/team/api:pull"

// form is the body that OAuth 2 clients send.
func form(pairs ...string) []proxytest.Option {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return []proxytest.Option{proxytest.Body([]byte(values.Encode())), proxytest.Header("Content-Type", "application/x-www-form-urlencoded")}
}

// TestTokensByForm: docker and containerd buy so first.
func TestTokensByForm(t *testing.T) {
	w := newWorld(t, config{})
	c := w.licensed("app")
	body := w.Do("POST", "/v2/token", form("grant_type", "password", "service", "x", "client_id", "containerd", "access_type", "offline",
		"username", "ops@acme.example", "password", c.id, "scope", scope+" repository:proxy/app/quay.io/other:pull")...).Is(200).Body
	var answer map[string]any
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatal(err)
	}
	if _, offline := answer["refresh_token"]; offline || answer["scope"] != scope+" repository:proxy/app/quay.io/other:pull" {
		t.Errorf("answered %s", body)
	}
	w.Do("GET", image+"/manifests/v1", bearer(answer["access_token"].(string))).Is(200)
}

// TestTokensThatAreRefused: whatever would outlive a license, and whoever has none.
func TestTokensThatAreRefused(t *testing.T) {
	w := newWorld(t, config{})
	c := w.licensed("app")
	refresh := w.buy(c, scope)
	for name, test := range map[string]struct {
		method  string
		options []proxytest.Option
		status  int
		code    oci.Code
	}{
		"no license":         {"GET", nil, 401, oci.Unauthorized},
		"unknown license":    {"GET", []proxytest.Option{proxytest.Basic("x", v1alpha1.NewID())}, 401, oci.Unauthorized},
		"a token for a new":  {"GET", []proxytest.Option{bearer(refresh)}, 401, oci.Unauthorized},
		"a refresh token":    {"POST", form("grant_type", "refresh_token", "refresh_token", c.id, "scope", scope), 401, oci.Unauthorized},
		"no grant":           {"POST", form("username", "x", "password", c.id), 401, oci.Unauthorized},
		"unknown by form":    {"POST", form("grant_type", "password", "username", "x", "password", v1alpha1.NewID()), 401, oci.Unauthorized},
		"in the query":       {"POST", nil, 401, oci.Unauthorized},
		"a form without end": {"POST", form("grant_type", "password", "password", strings.Repeat("x", 1<<20)), 413, oci.BodyTooLarge},
		"deletion":           {"DELETE", []proxytest.Option{c.basic()}, 405, oci.Unsupported},
		"a look":             {"PUT", []proxytest.Option{c.basic()}, 405, oci.Unsupported},
	} {
		t.Run(name, func(t *testing.T) {
			answer := w.Do(test.method, "/v2/token?grant_type=password&password="+c.id+"&offline_token=true", test.options...).Fails(test.status, test.code)
			switch test.status {
			case 401:
				answer.Has("WWW-Authenticate", `Basic realm="License"`)
			case 405:
				answer.Has("Allow", "GET, POST")
			}
			if r := w.pulls.last(); r.Action != imageproxy.Auth || r.Success {
				t.Errorf("recorded %+v", r)
			}
		})
	}
	if body := w.Do("GET", "/v2/token?offline_token=true&scope="+scope, c.basic()).Is(200).Body; strings.Contains(string(body), "refresh") {
		t.Errorf("an offline token was given out: %s", body)
	}
}

// TestWhatATokenIsGoodFor: the names that were asked for, as far as the license's application goes, for
// pulling, and nothing else.
func TestWhatATokenIsGoodFor(t *testing.T) {
	w := newWorld(t, config{})
	c := w.licensed("app")
	var many []string
	for i := range 40 {
		many = append(many, fmt.Sprintf("repository:proxy/app/quay.io/r%d:pull", i))
	}
	for name, test := range map[string]struct{ asked, granted []string }{
		"nothing":          {nil, []string{}},
		"pull":             {[]string{scope}, []string{"proxy/app/quay.io/team/api"}},
		"pull and push":    {[]string{"repository:proxy/app/quay.io/team/api:pull,push"}, []string{"proxy/app/quay.io/team/api"}},
		"push":             {[]string{"repository:proxy/app/quay.io/team/api:push"}, []string{}},
		"everything":       {[]string{"repository:proxy/app/quay.io/team/api:*", "registry:catalog:*"}, []string{}},
		"twice":            {[]string{scope, scope}, []string{"proxy/app/quay.io/team/api"}},
		"in one parameter": {[]string{scope + "%20repository:proxy/app/busybox:pull"}, []string{"proxy/app/quay.io/team/api", "proxy/app/busybox"}},
		"a port":           {[]string{"repository:proxy/app/localhost:5000/x:pull"}, []string{"proxy/app/localhost:5000/x"}},
		"another app's":    {[]string{"repository:proxy/other/quay.io/team/api:pull"}, []string{}},
		"a longer app's":   {[]string{"repository:proxy/app-two/quay.io/team/api:pull"}, []string{}},
		"a way out":        {[]string{"repository:proxy/app/../other/quay.io/team/api:pull", "repository:proxy/app/quay.io/%252e%252e/x:pull"}, []string{}},
		"no image":         {[]string{"repository:proxy/app:pull", "repository:proxy/app/:pull", "repository:source:pull", "repository::pull", "x", "repository:x"}, []string{}},
		"more than it holds": {many, []string{"proxy/app/quay.io/r0", "proxy/app/quay.io/r1", "proxy/app/quay.io/r2", "proxy/app/quay.io/r3", "proxy/app/quay.io/r4",
			"proxy/app/quay.io/r5", "proxy/app/quay.io/r6", "proxy/app/quay.io/r7", "proxy/app/quay.io/r8", "proxy/app/quay.io/r9", "proxy/app/quay.io/r10",
			"proxy/app/quay.io/r11", "proxy/app/quay.io/r12", "proxy/app/quay.io/r13", "proxy/app/quay.io/r14", "proxy/app/quay.io/r15"}},
	} {
		got, err := w.issuer.Check(w.buy(c, test.asked...))
		if err != nil || !slices.Equal(append([]string{}, got.Repositories...), test.granted) {
			t.Errorf("%s: granted %q, %v; want %q", name, got.Repositories, err, test.granted)
		}
	}
	// A token for one repository is none for another, and says what is missing.
	token := w.buy(c, scope)
	challenge := w.Do("GET", "/v2/proxy/app/quay.io/library/busybox/manifests/v1", bearer(token)).Fails(401, oci.Unauthorized).Header.Get("WWW-Authenticate")
	if !strings.Contains(challenge, `scope="repository:proxy/app/quay.io/library/busybox:pull"`) || !strings.HasSuffix(challenge, `,error="insufficient_scope"`) {
		t.Errorf("the challenge is %s", challenge)
	}
	w.unspoken()
}

// TestForgedTokens are as good as none.
func TestForgedTokens(t *testing.T) {
	w := newWorld(t, config{})
	c := w.licensed("app")
	token := w.buy(c, scope)
	parts := strings.Split(token, ".")
	elsewhere := newWorld(t, config{keys: keyfile.Generate()})
	elsewhere.admit(c)
	for name, forged := range map[string]string{
		"of another server": elsewhere.buy(c, scope),
		"unsigned":          base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + ".",
		"a changed claim":   parts[0] + "." + parts[1][:len(parts[1])-2] + "AA." + parts[2],
	} {
		challenge := w.Do("GET", image+"/blobs/"+w.blob, bearer(forged)).Fails(401, oci.Unauthorized).Header.Get("WWW-Authenticate")
		if !strings.HasSuffix(challenge, `,error="invalid_token"`) {
			t.Errorf("%s: the challenge is %s", name, challenge)
		}
	}
	w.unspoken()
	if strings.Contains(w.log.String(), parts[1]) {
		t.Error("a token is in the log")
	}
}

// quirk A11: Nexus can only proxy a registry whose challenge carries a scope and names the domain that it
// asked.
func TestQuirkA11ChallengesNameTheDomainOfTheClient(t *testing.T) {
	w := newWorld(t, config{})
	w.licensed("app")
	for host, scheme := range map[string]string{
		"proxy.example.com": "https", "proxy.example.com:8443": "https", "Registry.Example.COM": "https", "192.0.2.1": "https",
		"[2001:db8::1]:5003": "https", "my_host": "https", "localhost:5003": "http", "LOCALHOST": "http", "127.0.0.1:80": "http", "[::1]:5003": "http", "[::1]": "http",
		`evil"host`: "", "a b": "", "host,scope": "", "host:port": "", "host:123456": "", "-host": "", "host/path": "", "a@b": "", "\\": "",
		"[::1:": "", strings.Repeat("a", 300): "",
	} {
		answer := w.Do("GET", image+"/manifests/v1", func(r *http.Request) { r.Host = host })
		if answer.Status == 400 {
			continue // net/http refuses it, or its client leaves it out
		}
		got := answer.Fails(401, oci.Unauthorized).Header.Values("WWW-Authenticate")
		want := []string{fmt.Sprintf(`Bearer realm="%s://%s/v2/token",service="%s",scope="%s"`, scheme, host, host, scope), `Basic realm="License"`}
		if scheme == "" {
			want = want[1:]
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: challenged with %q, want %q", host, got, want)
		}
	}
}

// quirk K7: most clients print of a refusal by the token server its status only. So a license that has ended
// gets a token, and what the token is shown for is refused with the reason.
func TestQuirkK7AnEndedLicenseGetsATokenThatIsRefusedWithTheReason(t *testing.T) {
	past := time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)
	for says, end := range map[string]func(*customer){
		"this license was revoked at 2020-02-03T04:05:06Z": func(c *customer) { c.license.Revoked, c.license.RevokedAt = true, past },
		"this license expired at 2020-02-03T04:05:06Z":     func(c *customer) { c.license.Expires = past },
		"this license id expired at 2020-02-03T04:05:06Z":  func(c *customer) { c.credential.Expires = past },
	} {
		t.Run(says, func(t *testing.T) {
			w := newWorld(t, config{})
			c := w.licensed("app")
			end(c)
			w.admit(c)
			token := w.buy(c, "repository:proxy/app/quay.io/team/api:pull")
			if r := w.pulls.last(); !r.Success || r.License != c.license.Name || r.Reason != "" {
				t.Errorf("the token is recorded as %+v", r)
			}
			for _, path := range w.kinds() {
				w.Do("GET", image+path, bearer(token)).Fails(403, oci.Denied).Says(says).Lacks("WWW-Authenticate")
			}
			w.Do("GET", "/v2/", bearer(token)).Fails(403, oci.Denied).Says(says)
			w.unspoken()
			w.admit() // the license is deleted
			w.Do("GET", "/v2/token", c.basic()).Is(401)
		})
	}
}
