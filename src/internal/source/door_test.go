// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/source"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

func failing(context.Context, string) (keychain.Credential, error) {
	return keychain.Credential{}, errors.New("read /etc/secret: permission denied")
}

// TestSwitches is every operation with every switch of the operator's on and off.
func TestSwitches(t *testing.T) {
	digest := registrytest.Digest(layer())
	for _, test := range []struct {
		method, target string
		// without the switch, and with it.
		off, on int
		code    oci.Code
		set     func(*proxytest.Config)
	}{
		{"GET", "/v2/source/blobs/" + digest, 403, 200, oci.Denied, func(c *proxytest.Config) { c.AllowPull = true }},
		{"HEAD", "/v2/source/blobs/" + digest, 200, 200, "", func(c *proxytest.Config) { c.AllowPull = true }},
		{"GET", manifests + "v1", 200, 200, "", func(c *proxytest.Config) { c.AllowPull = true }},
		{"HEAD", manifests + "v1", 200, 200, "", func(c *proxytest.Config) { c.AllowPull = true }},
		{"GET", "/v2/source/tags/list", 200, 200, "", func(c *proxytest.Config) { c.AllowPull = true }},
		{"GET", "/v2/source/referrers/" + digest, 200, 200, "", func(c *proxytest.Config) { c.AllowPull = true }},
		{"DELETE", "/v2/source/blobs/" + digest, 405, 202, oci.Unsupported, func(c *proxytest.Config) { c.AllowDelete = true }},
		{"DELETE", manifests + "v1", 405, 202, oci.Unsupported, func(c *proxytest.Config) { c.AllowDelete = true }},
		{"DELETE", manifests + digest, 405, 404, oci.Unsupported, func(c *proxytest.Config) { c.AllowDelete = true }},
		{"POST", "/v2/source/sub/blobs/uploads/", 404, 202, oci.NameUnknown, func(c *proxytest.Config) { c.AllowSubRepositories = true }},
		{"GET", "/v2/source/sub/deep/tags/list", 404, 200, oci.NameUnknown, func(c *proxytest.Config) { c.AllowSubRepositories = true }},
		{"POST", "/v2/sources/blobs/uploads/", 404, 404, oci.NameUnknown, func(c *proxytest.Config) { c.AllowSubRepositories = true }},
		{"GET", "/v2/team/code/tags/list", 404, 404, oci.NameUnknown, func(c *proxytest.Config) { c.AllowSubRepositories = true }},
		{"GET", "/v2/other/source/tags/list", 404, 404, oci.NameUnknown, func(c *proxytest.Config) { c.AllowSubRepositories = true }},
		{"POST", uploads, 202, 202, "", func(c *proxytest.Config) { c.AllowPull, c.AllowDelete = true, true }},
	} {
		for _, on := range []bool{false, true} {
			cfg := proxytest.Config{}
			want := test.off
			if on {
				test.set(&cfg)
				want = test.on
			}
			p, registry := proxytest.Simple(t, cfg)
			registry.PutBlob(proxytest.Repository, layer())
			registry.PutManifest(proxytest.Repository, "application/json", []byte("{}"), "v1")
			answer := p.Do(test.method, test.target).Is(want).Has(source.PathHeader, "registry.example.com/team/code")
			if want == test.off && want >= 400 {
				answer.Fails(want, test.code)
				p.Network.None(registrytest.Sent(test.method, "/v2/team"))
			}
		}
	}
}

// TestCancelIsAlwaysPossible: of one's own upload, whatever the switches say.
func TestCancelIsAlwaysPossible(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	location := p.Start()
	registry.When("DELETE", "/uploads/").Do(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		w.WriteHeader(http.StatusOK) // some registries say so, and why
		_, _ = w.Write([]byte(`{"cancelled":true}`))
	})
	if answer := p.Do("DELETE", location).Is(204); len(answer.Body) > 0 {
		t.Errorf("the answer has a body: %s", answer.Body)
	}
}

// TestNamesBelowTheRepository: source/<sub> stands for <repository>/<sub>, in the answers too.
func TestNamesBelowTheRepository(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{AllowSubRepositories: true})
	next := p.Do("PATCH", p.Do("POST", "/v2/source/a/b/blobs/uploads/").Is(202).Location(), proxytest.Body(layer())).Is(202).Location()
	p.Finish(next, layer()).Is(201).Has("Location", "/v2/source/a/b/blobs/"+registrytest.Digest(layer()))
	registry.Holds("team/code/a/b", layer())
	p.Do("GET", "/v2/source/a/b/tags/list").Says(`"name":"source/a/b"`)
	p.Do("POST", uploads+"?mount="+registrytest.Digest(layer())+"&from=source/a/b").Is(201).Has("Location", "/v2/source/blobs/"+registrytest.Digest(layer()))
	registry.Holds("team/code", layer())
}

// TestEveryAnswerNamesTheRegistry, errors and unknown paths too.
func TestEveryAnswerNamesTheRegistry(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	registry.When("", "/tags/").BreakOff()
	for _, request := range [][2]string{
		{"GET", "/health"}, {"HEAD", "/health"}, {"POST", "/health"}, {"GET", "/health/"}, {"GET", "/v2/"}, {"GET", "/v2"}, {"HEAD", "/v2/"}, {"PUT", "/v2/"},
		{"GET", "/"}, {"GET", "/v1/x"}, {"GET", "/v2/_catalog"}, {"GET", "/v2//"}, {"GET", "/v2/source/../x"}, {"GET", "/v2/%2e%2e/x"}, {"GET", "/v2/source%2Fx/tags/list"},
		{"OPTIONS", "/v2/"}, {"BREW", "/v2/source/tags/list"}, {"GET", "/v2/source/tags/list"}, {"GET", "/v2/Source/tags/list"},
		{"GET", "/v2/source/blobs/sha256:1"}, {"GET", uploads + "x"}, {"HEAD", manifests + "v1"}, {"POST", "/v2/source/blobs/uploads"},
	} {
		answer := p.Do(request[0], request[1]).Has(source.PathHeader, "registry.example.com/team/code")
		if answer.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s %s: has no id", request[0], request[1])
		}
		if answer.Status >= 400 && request[0] != "HEAD" && len(answer.Body) > 0 && answer.Body[0] != '{' {
			t.Errorf("%s %s: the error is not OCI JSON: %s", request[0], request[1], answer.Body)
		}
		if answer.Status >= 300 && answer.Status < 400 {
			t.Errorf("%s %s: redirected to %s", request[0], request[1], answer.Header.Get("Location"))
		}
	}
}

// TestUnconfigured: without a valid repository every operation says so, and /v2/ still answers.
func TestUnconfigured(t *testing.T) {
	p, _ := proxytest.Simple(t, proxytest.Config{})
	p.Upstream = &source.Upstream{Problem: errors.New("repository is empty: set it to registry/path")}
	p.Do("GET", "/v2/").Is(200).Lacks(source.PathHeader)
	p.Do("POST", uploads).Fails(500, oci.Misconfigured).Says("repository is empty")
	p.Network.None()
}

// quirk K1: Link has to work behind the API server's prefix, which X-Forwarded-Uri tells; nothing else is
// read from it.
func TestQuirkK1LinkBehindThePrefix(t *testing.T) {
	const prefix = "/api/v1/namespaces/tap-local-source-system/services/http:local-source-proxy:5001/proxy"
	p, registry := proxytest.Simple(t, proxytest.Config{})
	registry.PutManifest(proxytest.Repository, "application/json", []byte("{}"), "a", "b", "c")
	plain := `</v2/source/tags/list?last=a&n=1>; rel="next"`
	for forwarded, want := range map[string]string{
		prefix + "/v2/source/tags/list":                "<" + prefix + plain[1:],
		prefix + "/v2/source/tags/list?n=1":            "<" + prefix + plain[1:],
		"/v2/source/tags/list":                         plain,
		"":                                             plain,
		prefix + "/v2/other/tags/list":                 plain,
		"//evil.example.net/v2/source/tags/list":       plain,
		"/x//evil.example.net/v2/source/tags/list":     plain,
		"https://evil.example.net/v2/source/tags/list": plain,
		"evil.example.net/v2/source/tags/list":         plain,
		"/%2f%2fevil.example.net/v2/source/tags/list":  plain,
		"/\\evil.example.net/v2/source/tags/list":      plain,
		"/a>; rel=\"x\", </v2/source/tags/list":        plain,
		"/../../v2/source/tags/list":                   plain,
	} {
		p.Do("GET", "/v2/source/tags/list?n=1", proxytest.Header("X-Forwarded-Uri", forwarded)).Is(200).Has("Link", want)
	}
	digest := registrytest.Digest(nil)
	registry.When("GET", "/referrers/").Answer(200, "{}", "Link", `</v2/team/code/referrers/x?p=2>; rel="next"`)
	escaped := "/v2/source/referrers/sha256%3A" + digest[7:]
	p.Do("GET", escaped, proxytest.Header("X-Forwarded-Uri", prefix+escaped)).Is(200).Has("Link", "<"+prefix+"/v2/source/referrers/"+digest+`?p=2>; rel="next"`)
}

// quirk K1: the API server decodes %2F and collapses // in a Location: ours has neither, and no host
// ([proxytest.Answer.Location] looks), whatever the registry's was.
func TestQuirkK1Locations(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	registry.When("POST", "/uploads/").Answer(202, "", "Location", "https://registry.example.com//v2/a%2Fb//c?d=%2F%2F")
	location := p.Start()
	registry.When("PATCH", "").AnswerOnceRead(202, "", "Location", "/v2/x%2Fy?_state=//")
	p.Do("PATCH", location, proxytest.Body(layer())).Is(202).Location()
	p.Do("PUT", manifests+"v1", proxytest.Body([]byte("{}"))).Is(201).Has("Location", manifests+registrytest.Digest([]byte("{}"))).Location()
}
