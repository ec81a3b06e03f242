// SPDX-License-Identifier: Apache-2.0

package imageproxy_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
)

// TestASilentRegistry is a 504 for its own images, holds few places, and stops nobody else's.
func TestASilentRegistry(t *testing.T) {
	t.Parallel()
	const places = 4
	const silence = 10 * time.Second // in which a loaded machine does all that comes before it
	w := newWorld(t, config{silence: silence, waiting: places})
	one, other := w.licensed("app"), w.licensed("other")
	w.admit(one, other)
	asked := make(chan struct{}, places)
	w.quay.When("GET", "/team/api/").Do(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		asked <- struct{}{}
		<-r.Context().Done()
		panic(http.ErrAbortHandler) // net/http would answer 200, and the client may still read it
	})
	w.Do("HEAD", image+"/manifests/v1", one.basic()).Is(200) // greeted
	answers := make(chan *proxytest.Answer, places)
	for range places {
		go func() { answers <- w.Do("GET", image+"/manifests/v1", one.basic()) }()
	}
	for range places {
		<-asked
	}
	answer := w.Do("GET", image+"/manifests/v1", one.basic()).Fails(503, oci.Unavailable)
	if answer.Header.Get("Retry-After") == "" {
		t.Error("nobody says when to come again")
	}
	w.Do("GET", aliased+"/manifests/v1", other.basic()).Is(200)
	for range places {
		(<-answers).Fails(504, oci.UpstreamTimeout)
	}
}
