// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

// quirk D1: only blobs are kept elsewhere by honest registries: nothing else is followed to another host, and
// within the registry everything is.
func TestQuirkD1OnlyBlobsAreRedirected(t *testing.T) {
	digest := registrytest.Digest(layer())
	for _, target := range []string{
		"https://storage.example.net/x", "https://blobs.registry.example.com/x", "https://registry.example.com:5443/x", "http://registry.example.com/v2/x",
	} {
		for _, path := range []string{"/manifests/v1", "/manifests/" + digest, "/tags/list", "/referrers/" + digest} {
			for _, method := range []string{"GET", "HEAD"} {
				if method == "HEAD" && !strings.HasPrefix(path, "/manifests/") {
					continue
				}
				p, registry := proxytest.Simple(t, proxytest.Config{AllowPull: true})
				for _, host := range []string{"storage.example.net", "blobs.registry.example.com", "registry.example.com:5443"} {
					p.Network.Serve(host, http.NotFoundHandler())
				}
				p.Network.ServePlain("registry.example.com", http.NotFoundHandler())
				registry.When(method, path).Answer(307, "", "Location", target)
				p.Do(method, "/v2/source"+path).Is(502).Lacks("Location").Hides("storage", "5443")
				p.Network.Count(1, registrytest.Sent(method, "/team/code/"))
				p.Network.Count(2)
			}
		}
	}
}

// quirk D1: manifests and lists may move within the registry.
func TestQuirkD1MovesWithinTheRegistry(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	registry.GuardBy(registrytest.Basic(proxytest.User, proxytest.Password))
	registry.PutManifest("moved", mediaType, manifest(), "v1")
	for _, path := range []string{"/manifests/v1", "/tags/list"} {
		registry.When("GET", "/team/code"+path).Answer(301, "", "Location", "/v2/moved"+path)
		p.Do("GET", "/v2/source"+path).Is(200).Lacks("Location").Hides("moved")
	}
}

// quirk D1: a chain never leads from https to plain HTTP, nor to an address that only this machine or its
// cloud should talk to.
func TestQuirkD1PlacesThatAreNotAsked(t *testing.T) {
	for _, target := range []string{
		"http://storage.example.net/x", "http://registry.example.com/x", "https://127.0.0.1/x", "https://127.8.9.10:8081/metrics", "https://localhost/x",
		"https://a.localhost/x", "https://[::1]/x", "https://0.0.0.0/x", "https://0.1.2.3/x", "https://[::]/x", "https://169.254.169.254/latest/meta-data/",
		"https://169.254.170.2/v2/credentials", "https://[fe80::1]/x", "https://[fe80::1%25eth0]/x", "https://[::ffff:127.0.0.1]/x", "https://[::ffff:a9fe:a9fe]/x",
		"https://[64:ff9b::a9fe:a9fe]/x", "https://[2002:a9fe:a9fe::1]/x", "https://[::127.0.0.1]/x", "https://[fd00:ec2::254]/x", "https://100.100.100.200/x",
		"https://168.63.129.16/x", "https://metadata.google.internal/x", "https://224.0.0.1/x", "https://[ff02::1]/x", "https://255.255.255.255/x",
		"file:///etc/passwd", "https:///x", "",
	} {
		for _, by := range []string{"registry", "storage"} {
			t.Run(fmt.Sprint(by, target), func(t *testing.T) {
				p, registry := proxytest.Simple(t, proxytest.Config{AllowPull: true})
				first := target
				if by == "storage" {
					first = "https://storage.example.com/x"
					p.Network.Serve("storage.example.com", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
						w.Header().Set("Location", target)
						w.WriteHeader(302)
					}))
				}
				registry.When("GET", "/blobs/").Answer(307, "", "Location", first)
				p.Do("GET", "/v2/source/blobs/"+registrytest.Digest(layer())).Fails(502, oci.Unavailable).Says("redirect").Hides("storage", "169.254")
			})
		}
	}
}

// quirk D1: once a chain has left the registry, the credential stays away, also when it leads back: whoever
// was in between chose the path.
func TestQuirkD1AChainThatComesBack(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{AllowPull: true})
	registry.GuardBy(registrytest.Basic(proxytest.User, proxytest.Password))
	secret := registry.PutBlob("team/secret", []byte("the secret"))
	open := registry.PutBlob("open", layer())
	p.Network.Serve("storage.example.net", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://registry.example.com/v2/"+r.URL.Query().Get("to"), http.StatusFound)
	}))
	for to, want := range map[string]int{"team/secret/blobs/" + secret: 403, "open/blobs/" + open: 403, "open/blobs/" + secret: 403} {
		registry.When("GET", "/team/code/blobs/").Answer(307, "", "Location", "https://storage.example.net/x?to="+to)
		p.Do("GET", "/v2/source/blobs/"+secret).Is(want).Hides("the secret")
		p.Network.None(registrytest.Sent("GET", "/v2/"+to), registrytest.With("Authorization"))
	}
	registry.When("GET", "/v2/open/").Answer(200, "for everybody")
	registry.When("GET", "/team/code/blobs/").Answer(307, "", "Location", "https://storage.example.net/x?to=open/blobs/"+open)
	p.Do("GET", "/v2/source/blobs/"+open).Is(200).Says("for everybody")
}

// quirk D1: without allow_pull nothing is followed, and no signed address is handed out. A blob that the
// registry keeps elsewhere is then looked for in vain: sending it once more is safe, and to take any redirect
// for "it is there" is not (quirk D12).
func TestQuirkD1NothingIsFollowedWithoutAllowPull(t *testing.T) {
	for _, passes := range []bool{false, true} {
		p, registry := proxytest.Simple(t, proxytest.Config{PassRedirects: passes})
		p.Network.Serve("storage.example.net", http.NotFoundHandler())
		digest := registry.PutBlob(proxytest.Repository, layer())
		registry.When("HEAD", "/blobs/sha256").Answer(307, "", "Location", "https://storage.example.net/x?signature=s")
		p.Do("HEAD", "/v2/source/blobs/"+digest).Is(404).Lacks("Location").Hides("storage", "signature")
		p.Do("GET", "/v2/source/blobs/"+digest).Fails(403, oci.Denied)
		p.PushBlob(layer())
		p.Network.None(registrytest.To("storage.example.net"))
	}
}
