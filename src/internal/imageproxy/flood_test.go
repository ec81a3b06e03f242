// SPDX-License-Identifier: Apache-2.0

package imageproxy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
)

// from says through which address a request comes to the trusted proxy in front.
func from(address string) proxytest.Option { return proxytest.Header("X-Forwarded-For", address) }

// failures is how many failures of one address are looked at from then on until now: 20, and one a second.
func failures(began time.Time) int { return 20 + 1 + int(time.Since(began).Seconds()) }

// TestAFloodOfWrongLicenses costs little, and locks nobody out who comes from the same address.
func TestAFloodOfWrongLicenses(t *testing.T) {
	for name, wrong := range map[string]struct {
		path string
		show func() proxytest.Option
	}{
		"license":          {image + "/manifests/v1", func() proxytest.Option { return proxytest.Basic("x", v1alpha1.NewID()) }},
		"at the token":     {"/v2/token", func() proxytest.Option { return proxytest.Basic("x", v1alpha1.NewID()) }},
		"token":            {image + "/manifests/v1", func() proxytest.Option { return bearer(v1alpha1.NewID()) }},
		"for another path": {"/v2/", func() proxytest.Option { return proxytest.Basic("x", v1alpha1.NewID()) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, config{proxies: "127.0.0.1"})
			c := w.licensed("app")
			const requests = 300
			counted, last, began := map[int]int{}, 0, time.Now()
			for range requests {
				answer := w.Do("GET", wrong.path, wrong.show(), from("198.51.100.7"))
				last = answer.Status
				counted[last]++
				if answer.Status == 429 {
					answer.Fails(429, oci.TooManyRequests).Lacks("WWW-Authenticate")
					if after := answer.Header.Get("Retry-After"); after == "" || after == "0" || strings.ContainsAny(after, ".-") {
						t.Fatalf("Retry-After is %q", after)
					}
				}
			}
			if most := failures(began); counted[401]+counted[429] != requests || counted[401] > most || counted[401] == 0 {
				t.Errorf("answered %v, of which at most %d were to be looked at", counted, most)
			}
			if lines := len(w.lines("pull")); lines != counted[401] {
				t.Errorf("%d lines for %d answers below the limit", lines, counted[401])
			}
			r := w.pulls.last()
			if limited := r.Reason == imageproxy.RateLimited; r.Status != last || limited != (last == 429) || len(w.pulls.all) != requests {
				t.Errorf("recorded %d, the last %+v, which was answered %d", len(w.pulls.all), r, last)
			}
			// The same address with a license, and as it comes without one; and others that fail.
			w.Do("GET", "/v2/", c.basic(), from("198.51.100.7")).Is(200)
			w.Do("GET", image+"/blobs/"+w.blob, c.basic(), from("198.51.100.7")).Is(200)
			w.Do("GET", image+"/blobs/"+w.blob, bearer(w.buy(c, scope)), from("198.51.100.7")).Is(200)
			w.Do("GET", "/v2/", from("198.51.100.7")).Fails(401, oci.Unauthorized)
			w.Do("GET", wrong.path, wrong.show(), from("198.51.100.8")).Fails(401, oci.Unauthorized)
			if remote := w.pulls.last().Remote; remote != "198.51.100.8" {
				t.Errorf("the last request is said to come from %s", remote)
			}
		})
	}
}

// TestAddressesOfStrangers: a client that is no trusted proxy cannot fail in another's name.
func TestAddressesOfStrangers(t *testing.T) {
	w := newWorld(t, config{proxies: "192.0.2.1"})
	w.licensed("app")
	counted, began := map[int]int{}, time.Now()
	for range 100 {
		counted[w.Do("GET", "/v2/", proxytest.Basic("x", v1alpha1.NewID()), from("198.51."+v1alpha1.NewID())).Status]++
	}
	if most := failures(began); counted[401] > most || counted[401]+counted[429] != 100 {
		t.Errorf("a client that names other addresses is answered %v; at most %d were to be looked at", counted, most)
	}
	if remote := w.pulls.last().Remote; remote != "127.0.0.1" {
		t.Errorf("it is said to come from %s", remote)
	}
}

// TestATokenThatIsTooOldIsNoWrongOne: whoever holds it just buys another.
func TestATokenThatIsTooOldIsNoWrongOne(t *testing.T) {
	w := newWorld(t, config{})
	c := w.licensed("app")
	token := w.buy(c, scope)
	w.admit() // its license is gone, and the token well signed
	for range 200 {
		w.Do("GET", image+"/manifests/v1", bearer(token)).Fails(401, oci.Unauthorized)
	}
	if r := w.pulls.last(); r.Reason != imageproxy.UnknownLicense {
		t.Errorf("recorded %+v", r)
	}
}
