// SPDX-License-Identifier: Apache-2.0

package imageproxy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

const closedImage = "this license does not open this image"

// denied asks for something that is not open, and returns the answer without what differs between any two.
func denied(t *testing.T, w *world, path string, shown proxytest.Option) string {
	t.Helper()
	answer := w.Do("GET", path, shown).Fails(403, oci.Denied).Says(closedImage)
	if reason := w.pulls.last().Reason; reason != imageproxy.NotLicensed && reason != imageproxy.RepositoryClosed {
		t.Errorf("%s: the reason is %q", path, reason)
	}
	w.Do("HEAD", path, shown).Is(403)
	return string(answer.Body)
}

// TestALicenseOpensRepositories by patterns without a tag: all of a repository, with what no tag leads to, or nothing.
func TestALicenseOpensRepositories(t *testing.T) {
	s := newStore(t, config{})
	for pattern, opens := range map[string]struct{ app, api bool }{
		"team/app": {true, false}, "team/*": {true, true}, "**": {true, true}, "*/api": {false, true}, "*": {},
		"quay.io/team/app": {true, false}, "docker.io/team/app": {}, "app": {}, "team": {}, "team/app/*": {}, "team/app:*": {true, false},
		"team/app/**": {true, false}, "library/*": {},
	} {
		acme := s.sells(pattern)
		loose := s.quay.PutBlob("team/app", []byte("no manifest has it"))
		paths := append(s.first.paths(), "/manifests/v2.0", "/tags/list", "/blobs/"+loose)
		for _, path := range paths {
			if opens.app {
				s.Do("GET", app+path, acme.basic()).Is(200)
			} else {
				denied(t, s.world, app+path, acme.basic())
			}
		}
		for _, path := range s.kinds() {
			if opens.api {
				s.Do("GET", image+path, acme.basic()).Is(200)
			} else {
				denied(t, s.world, image+path, acme.basic())
			}
		}
	}
}

// TestWhatIsClosedIsNotAskedFor: a registry hears nothing of a repository or tag that is not open.
func TestWhatIsClosedIsNotAskedFor(t *testing.T) {
	s := newStore(t, config{})
	acme := s.sells("team/app:v1.*", "quay.io/other")
	for _, path := range s.kinds() {
		denied(t, s.world, image+path, acme.basic())
	}
	denied(t, s.world, app+"/manifests/v2.0", acme.basic())
	denied(t, s.world, app+"/manifests/latest", acme.basic())
	denied(t, s.world, app+"/manifests/V1.0", acme.basic())
	s.unspoken()
}

// TestAnOpenTagOpensWhatItLeadsTo: each request comes to a replica that knows nothing of those before, as after a
// restart.
func TestAnOpenTagOpensWhatItLeadsTo(t *testing.T) {
	for _, patterns := range [][]string{{"team/app:v1.0", "team/app:v1.1"}, {"team/app:v1.*"}, {"team/app:v1.0", "*/app:*.1"}, {"**:v1.*"}} {
		for _, kept := range []string{"", "mem://"} {
			t.Run(strings.Join(patterns, " ")+" "+kept, func(t *testing.T) {
				s := newStore(t, config{cache: kept})
				acme := s.sells(patterns...)
				s.Do("GET", app+"/manifests/v1.0", acme.basic()).Is(200)
				for _, method := range []string{"GET", "HEAD"} {
					for _, of := range []release{s.first, s.second} {
						for _, path := range append(of.paths(), "/blobs/"+of.blobs[2]) {
							if method == "HEAD" && strings.HasPrefix(path, "/referrers") {
								continue
							}
							s.side.Forget()
							s.Do(method, app+path, acme.basic()).Is(200)
							s.Do(method, app+path, acme.basic()).Is(200) // remembered
						}
					}
				}
			})
		}
	}
}

// TestADigestOpensNothing: who knows what a closed tag leads to gets none of it, by any path, in any form, nor from a
// cache, and cannot tell it from what does not exist.
func TestADigestOpensNothing(t *testing.T) {
	for _, kept := range []string{"", "mem://"} {
		for _, forget := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %v", kept, forget), func(t *testing.T) {
				s := newStore(t, config{cache: kept})
				whole := s.sells("team/app") // fills the cache, and has the proxy know all
				for _, path := range s.third.paths() {
					s.Do("GET", app+path, whole.basic()).Is(200)
				}
				acme := s.sells("team/app:v1.*")
				s.Do("GET", app+"/manifests/"+s.first.index, acme.basic()).Is(200)
				nothing := registrytest.Digest([]byte("nothing"))
				want := denied(t, s.world, image+"/manifests/v1", acme.basic())
				paths := append(s.third.paths(), "/manifests/"+nothing, "/blobs/"+nothing, "/referrers/"+nothing,
					"/manifests/"+signatureTag(nothing), "/manifests/v9", "/manifests/"+signatureTag(s.third.child),
					// The other way round: a manifest as a blob, a blob as a manifest.
					"/blobs/"+s.first.index, "/blobs/"+s.first.child, "/manifests/"+s.first.blobs[0],
					"/blobs/"+strings.Replace(s.third.blobs[0], ":", "%3A", 1))
				for _, path := range paths {
					if forget {
						s.side.Forget()
					}
					if got := denied(t, s.world, app+path, acme.basic()); got != want {
						t.Errorf("%s is told apart: %s", path, got)
					}
				}
				// From a repository that is open as a whole, a digest of another one opens nothing either.
				other := s.sells("team/app:v1.*", "team/api")
				s.Do("GET", image+"/manifests/"+s.third.index, other.basic()).Is(404)
				s.Do("GET", image+"/blobs/"+s.third.blobs[0], other.basic()).Is(404)
			})
		}
	}
}

// TestEveryWayIntoAClosedRepository tries the names and routes by which team/api could be read without being sold.
func TestEveryWayIntoAClosedRepository(t *testing.T) {
	s := newStore(t, config{})
	for _, each := range s.registries {
		if each.Name == "hub" {
			each.Alias = "hub"
		}
	}
	acme := s.sells("quay.io/team/app:v1.*", "library/hello", "quay.io/library/busybox")
	token := s.buy(acme, "repository:proxy/app/quay.io/team/api:pull", "repository:proxy/app/busybox:pull")
	for _, shown := range []proxytest.Option{acme.basic(), bearer(token)} {
		for _, path := range s.kinds() {
			denied(t, s.world, image+path, shown)
			denied(t, s.world, "/v2/proxy/app/busybox"+path, shown)
		}
	}
	for _, name := range []string{
		"docker.io/library/busybox", "docker.io/busybox", "index.docker.io/busybox", "registry-1.docker.io/library/busybox", "hub/busybox",
		"hub/library/busybox", "library/busybox", "team/api", "team/app", "docker.io/team/app", "hub/team/app",
	} {
		for _, path := range s.kinds() {
			denied(t, s.world, "/v2/proxy/app/"+name+path, acme.basic())
		}
	}
	// Names that are no names, whoever asks.
	for _, name := range []string{
		"Quay.io/team/api", "quay.io/Team/api", "quay.io/team/app/../api", "quay.io/team/app/%2e%2e/api", "quay.io//team/api", "quay.io/team%2Fapi",
		"quay.io/team/api%00",
	} {
		for _, path := range s.kinds() {
			if status := s.Do("GET", "/v2/proxy/app/"+name+path, acme.basic()).Status; status < 400 || status >= 500 {
				t.Errorf("%s%s: %d", name, path, status)
			}
		}
	}
	// A mount, an upload, and other ways to write.
	for _, query := range []string{"?mount=" + s.blob + "&from=team/api", "?mount=" + s.blob + "&from=proxy/app/quay.io/team/api", ""} {
		s.Do("POST", app+"/blobs/uploads/"+query, acme.basic()).Fails(405, oci.Unsupported)
	}
	s.Do("PUT", app+"/manifests/v1.0?tag=v2.0", acme.basic()).Fails(405, oci.Unsupported)
	// Lists with queries that name others.
	denied(t, s.world, image+"/tags/list?n=1&last=v1", acme.basic())
	s.network.None(func(r registrytest.Request) bool {
		return strings.Contains(r.Path, "team/api") || strings.Contains(r.Path, "busybox")
	})
}

// TestARegistryOpensSomeRepositories: what is not among repositories is open to no license.
func TestARegistryOpensSomeRepositories(t *testing.T) {
	s := newStore(t, config{})
	for _, each := range s.registries {
		switch each.Name {
		case "quay":
			each.Repositories = catalog.NewRepositories([]string{"*/app"})
		case "hub":
			each.Repositories = catalog.NewRepositories([]string{"busybox"})
		}
	}
	for _, images := range [][]string{nil, {"**"}, {"team/api"}} {
		acme := s.sells(images...)
		for _, path := range s.kinds() {
			denied(t, s.world, image+path, acme.basic())
		}
	}
	acme := s.sells()
	s.Do("GET", app+"/manifests/v2.0", acme.basic()).Is(200)
	s.Do("GET", "/v2/proxy/app/busybox/manifests/v1", acme.basic()).Is(200)
	denied(t, s.world, "/v2/proxy/app/docker.io/team/api/manifests/v1", acme.basic())
	if reason := s.pulls.last().Reason; reason != imageproxy.RepositoryClosed {
		t.Errorf("the reason is %q", reason)
	}
}

// TestOfficialImages: on Docker Hub, a pattern of one segment is of an official image, as in references.
func TestOfficialImages(t *testing.T) {
	s := newStore(t, config{})
	for pattern, opens := range map[string]bool{
		"busybox": true, "library/busybox": true, "docker.io/busybox": true, "index.docker.io/library/busybox": true, "*": true, "busy*:v1": true, "**": true,
		"quay.io/library/busybox": false, "quay.io/busybox": false, "team/busybox": false,
	} {
		acme := s.sells(pattern)
		for _, name := range []string{"busybox", "docker.io/busybox", "registry-1.docker.io/library/busybox"} {
			if opens {
				s.Do("GET", "/v2/proxy/app/"+name+"/manifests/v1", acme.basic()).Is(200)
			} else {
				denied(t, s.world, "/v2/proxy/app/"+name+"/manifests/v1", acme.basic())
			}
		}
	}
}

// TestAnEditOfImagesCountsAtOnce for what is remembered, too.
func TestAnEditOfImagesCountsAtOnce(t *testing.T) {
	s := newStore(t, config{})
	acme := s.sells("team/app:v1.*")
	s.Do("GET", app+"/blobs/"+s.first.blobs[0], acme.basic()).Is(200)
	acme.license.Images = catalog.NewImages([]string{"team/app:v1.1"})
	s.admit(acme)
	denied(t, s.world, app+"/blobs/"+s.first.blobs[0], acme.basic())
	s.Do("GET", app+"/blobs/"+s.second.blobs[2], acme.basic()).Is(200) // both have it
	acme.license.Images = catalog.NewImages([]string{"team/app:v1.0"})
	s.admit(acme)
	s.Do("GET", app+"/blobs/"+s.first.blobs[0], acme.basic()).Is(200)
}

// TestATagThatMoves opens what it leads to now, and for a while what it led to.
func TestATagThatMoves(t *testing.T) {
	s := newStore(t, config{})
	acme := s.sells("team/app:v1.*")
	s.Do("GET", app+"/manifests/"+s.second.child, acme.basic()).Is(200)
	moved := publish(s.quay, "team/app", "moved", "v1.1")
	s.Do("GET", app+"/manifests/v1.1", acme.basic()).Is(200).Has("Docker-Content-Digest", moved.index)
	for _, path := range moved.paths() {
		s.Do("GET", app+path, acme.basic()).Is(200)
	}
	s.Do("GET", app+"/blobs/"+s.second.blobs[0], acme.basic()).Is(200)
	s.side.Forget()
	denied(t, s.world, app+"/blobs/"+s.second.blobs[0], acme.basic())
}
