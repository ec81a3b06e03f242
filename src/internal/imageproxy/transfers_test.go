// SPDX-License-Identifier: Apache-2.0

package imageproxy_test

import (
	"net/http"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
)

// TestNoLicenseTakesAllPlaces: while one waits for a place, another one's requests are served. Tokens, and what is
// refused, need no place.
func TestNoLicenseTakesAllPlaces(t *testing.T) {
	const places, part = 8, 4 // three quarters of three quarters, all from one machine
	transfers := httpserver.NewTransfers(places)
	w := newWorld(t, config{transfers: transfers})
	one, other := w.licensed("app"), w.licensed("other")
	w.admit(one, other)
	hold := make(chan struct{})
	w.quay.When("GET", "/team/api/").Do(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		<-hold
		next.ServeHTTP(w, r)
	})
	answers := make(chan *proxytest.Answer, part+1)
	for range part + 1 {
		go func() { answers <- w.Do("GET", image+"/manifests/v1", one.basic()) }()
	}
	eventually(t, func() bool {
		counts := transfers.Counts()
		return counts.InFlight == part && counts.Waiting == 1
	})
	w.Do("GET", aliased+"/manifests/v1", other.basic()).Is(200)
	w.buy(one, scope)
	w.Do("GET", image+"/manifests/v1").Fails(401, oci.Unauthorized)
	w.Do("GET", image+"/manifests/v1", other.basic()).Fails(403, oci.Denied)
	if counts := transfers.Counts(); counts.InFlight != part {
		t.Errorf("%+v", counts)
	}
	close(hold)
	for range part + 1 {
		if answer := <-answers; answer.Status != 200 && answer.Status != 503 { // on a slow machine its time may run out
			t.Errorf("answered %d", answer.Status)
		}
	}
	eventually(t, func() bool { return transfers.Counts().InFlight == 0 })
}
