// SPDX-License-Identifier: Apache-2.0

package imageproxy_test

import (
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy"
)

// summaries are what a throttle has told, by source.
type summaries struct {
	mu  sync.Mutex
	all map[string][]int
}

func (s *summaries) add(source netip.Prefix, failures int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string][]int{}
	}
	s.all[source.String()] = append(s.all[source.String()], failures)
}

// exhaust fails until the limit is reached.
func exhaust(t *testing.T, throttled *imageproxy.Throttle, address string) (failures int) {
	t.Helper()
	for range 10000 {
		if _, over := throttled.Fail(netip.MustParseAddr(address)); over {
			return failures
		}
		failures++
	}
	t.Fatal("there is no limit")
	return 0
}

func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := &summaries{}
		throttled := imageproxy.NewThrottle(told.add)
		allowed := exhaust(t, throttled, "192.0.2.1")
		if allowed < 2 || allowed > 100 {
			t.Errorf("%d failures are looked at", allowed)
		}
		wait, over := throttled.Fail(netip.MustParseAddr("192.0.2.1"))
		if !over || wait <= 0 || wait > time.Minute {
			t.Errorf("over the limit: %v, wait %s", over, wait)
		}
		// Another address is none of its business.
		if _, over := throttled.Fail(netip.MustParseAddr("192.0.2.2")); over {
			t.Error("another address is over the limit too")
		}
		// Who waits is looked at again, as often as he waits.
		time.Sleep(wait)
		if _, over := throttled.Fail(netip.MustParseAddr("192.0.2.1")); over {
			t.Error("it does not help to wait")
		}
		if _, over := throttled.Fail(netip.MustParseAddr("192.0.2.1")); !over {
			t.Error("to wait once helps twice")
		}
		time.Sleep(imageproxy.Pause)
		synctest.Wait()
		if diff := cmp.Diff(map[string][]int{"192.0.2.1/32": {3}}, told.all); diff != "" {
			t.Errorf("summaries (-want +got):\n%s", diff)
		}
	})
}

// TestSummaries come once in a while, with all that was passed over since, and not when there was nothing.
func TestSummaries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := &summaries{}
		throttled := imageproxy.NewThrottle(told.add)
		address := netip.MustParseAddr("192.0.2.1")
		exhaust(t, throttled, "192.0.2.1")
		total := 1
		for range 3 {
			for range 200 {
				if _, over := throttled.Fail(address); over {
					total++
				}
			}
			time.Sleep(imageproxy.Pause)
			synctest.Wait()
		}
		time.Sleep(time.Hour)
		sum := 0
		for _, n := range told.all["192.0.2.1/32"] {
			sum += n
		}
		if len(told.all["192.0.2.1/32"]) != 3 || sum != total {
			t.Errorf("the summaries are %v, for %d failures", told.all, total)
		}
	})
}

// TestNetworks: a client of IPv6 has as many addresses as it likes, all in one network.
func TestNetworks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := &summaries{}
		throttled := imageproxy.NewThrottle(told.add)
		exhaust(t, throttled, "2001:db8::1")
		for address, same := range map[string]bool{"2001:db8::2": true, "2001:db8::ffff:ffff:ffff:ffff": true, "2001:db8:0:1::1": false, "192.0.2.1": false} {
			if _, over := throttled.Fail(netip.MustParseAddr(address)); over != same {
				t.Errorf("%s is over the limit: %v, want %v", address, over, same)
			}
		}
		for range 100 {
			throttled.Fail(netip.Addr{}) // of all who have no address
		}
		time.Sleep(imageproxy.Pause)
		synctest.Wait()
		if len(told.all) != 2 || len(told.all["2001:db8::/64"]) != 1 {
			t.Errorf("the summaries are %v", told.all)
		}
	})
}

// TestMemoryIsBounded: who has many addresses makes others be forgotten, and nothing grow.
func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttled := imageproxy.NewThrottle(func(netip.Prefix, int) {})
		exhaust(t, throttled, "192.0.2.1")
		address := netip.MustParseAddr("10.0.0.0")
		for range 1 << 15 {
			throttled.Fail(address)
			address = address.Next()
		}
		if _, over := throttled.Fail(netip.MustParseAddr("192.0.2.1")); over {
			t.Error("an address is remembered although many failed since")
		}
		time.Sleep(imageproxy.Pause)
	})
}
