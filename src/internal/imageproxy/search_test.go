// SPDX-License-Identifier: Apache-2.0

package imageproxy_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

// TestGuessingAsksARegistryLittle: who tries digests gets one search in ten seconds.
func TestGuessingAsksARegistryLittle(t *testing.T) {
	s := newStore(t, config{})
	acme := s.sells("team/app:v1.*")
	guess := func(i int) string { return registrytest.Digest(fmt.Appendf(nil, "guess %d", i)) }
	denied(t, s.world, app+"/blobs/"+guess(0), acme.basic())
	s.network.Forget()
	for i := range 50 {
		denied(t, s.world, app+"/blobs/"+guess(i), acme.basic())
	}
	s.unspoken()
	for i := range 50 {
		s.Do("GET", app+"/manifests/"+guess(i), acme.basic()).Is(403)
	}
	s.network.Count(50, registrytest.To(quay)) // what it might be about
}

// TestOneSearchForAll: those who ask at the same time share the questions.
func TestOneSearchForAll(t *testing.T) {
	s := newStore(t, config{})
	acme := s.sells("team/app:v1.*")
	done := make(chan int)
	blobs := append(slices.Clone(s.first.blobs), s.second.blobs...)
	for _, blob := range blobs {
		go func() { done <- s.Do("GET", app+"/blobs/"+blob, acme.basic()).Status }()
	}
	for range blobs {
		if status := <-done; status != 200 {
			t.Errorf("answered %d", status)
		}
	}
	s.network.Count(1, registrytest.Sent("GET", "/v2/team/app/tags/list"))
	s.network.Count(1, registrytest.Sent("HEAD", "/v2/team/app/manifests/v1.1"))
	s.network.None(registrytest.Sent("HEAD", "/v2/team/app/manifests/v2.0"))
}

// TestARegistryThatCannotSay: the customer is told that it is not the license, and nothing is open meanwhile.
func TestARegistryThatCannotSay(t *testing.T) {
	for name, test := range map[string]struct {
		answer int
		status int
		code   oci.Code
	}{
		"fails": {500, 502, oci.Unavailable}, "has too much to do": {429, 502, oci.Unavailable},
		"denies the repository": {403, 404, oci.NameUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, config{})
			acme := s.sells("team/app:v1.*")
			s.quay.When("GET", "/v2/team/app/tags/list").Answer(test.answer, "quay.io says no")
			s.Do("GET", app+"/blobs/"+s.first.blobs[0], acme.basic()).Fails(test.status, test.code).Hides("says no", "registry answered")
			s.Do("GET", app+"/blobs/"+s.third.blobs[0], acme.basic()).Fails(test.status, test.code)
			s.Do("GET", app+"/manifests/v1.0", acme.basic()).Is(200)
			s.Do("GET", app+"/blobs/"+s.first.blobs[0], acme.basic()).Is(200) // by the tag that was just asked for
		})
	}
}

// TestTheCacheAnswersForARegistryThatIsDown, and opens no more than before.
func TestTheCacheAnswersForARegistryThatIsDown(t *testing.T) {
	s := newStore(t, config{cache: directory(t.TempDir(), "stale=1h")})
	acme := s.sells("team/app:v1.*")
	for _, path := range append(s.first.paths(), "/manifests/v1.0", "/tags/list") {
		s.Do("GET", app+path, acme.basic()).Is(200)
	}
	whole := s.sells("team/app")
	for _, path := range s.third.paths() {
		s.Do("GET", app+path, whole.basic()).Is(200)
	}
	s.admit(acme)
	s.quay.When("GET", "/").Answer(503, "")
	s.quay.When("HEAD", "/").Answer(503, "")
	s.side.Forget()
	s.Do("GET", app+"/manifests/v1.0", acme.basic()).Is(200)
	s.Do("GET", app+"/blobs/"+s.first.blobs[1], acme.basic()).Is(200)
	s.Do("GET", app+"/blobs/"+s.third.blobs[1], acme.basic()).Fails(502, oci.Unavailable)
}

// TestManyTags: the newest of a thousand are looked at, and one search asks no more than it may.
func TestManyTags(t *testing.T) {
	s := newStore(t, config{})
	for i := range 1200 {
		blob := registrytest.Digest(fmt.Appendf(nil, "blob %d", i))
		s.quay.PutBlob("team/app", fmt.Appendf(nil, "blob %d", i))
		s.quay.PutManifest("team/app", manifestType, fmt.Appendf(nil, `{"layers":[{"digest":%q}]}`, blob), fmt.Sprintf("r%d", i))
	}
	acme := s.sells("team/app:r*")
	blob := func(i int) string { return app + "/blobs/" + registrytest.Digest(fmt.Appendf(nil, "blob %d", i)) }
	s.Do("GET", blob(1199), acme.basic()).Is(200)
	if n := len(s.network.Requests(registrytest.To(quay))); n > 40 {
		t.Errorf("the newest took %d questions", n)
	}
	s.Do("GET", blob(200), acme.basic()).Is(200)
	denied(t, s.world, blob(199), acme.basic())
	if n := len(s.network.Requests(registrytest.To(quay))); n > 4100 {
		t.Errorf("%d questions", n)
	}
	// A tag that is asked for itself is open, whatever its name.
	s.Do("GET", app+"/manifests/r7", acme.basic()).Is(200)
	s.Do("GET", blob(7), acme.basic()).Is(200)
}
