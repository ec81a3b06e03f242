// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

const (
	// perSecond and burst are how many failures of one source are looked at.
	perSecond = 1
	burst     = 20
	// sources are remembered at most, those that failed last; who is forgotten begins anew.
	sources = 16 << 10
	// Pause between two summaries about the same source.
	Pause = 30 * time.Second
	// ipv6Prefix is the part of an address that a network assigns; the client chooses the rest.
	ipv6Prefix = 64
)

// Throttle counts failures. It is safe for concurrent use.
type Throttle struct {
	summarize func(source netip.Prefix, failures int)

	mu      sync.Mutex
	sources *simplelru.LRU[netip.Prefix, *source]
}

// source is one address, or one network of IPv6. The throttle's lock guards it.
type source struct {
	limit *rate.Limiter
	// passedOver counts the failures since the last summary.
	passedOver int
}

// NewThrottle makes a throttle. summarize is told how many failures of a source were over the limit, once for
// each [Pause] in which there were some.
func NewThrottle(summarize func(source netip.Prefix, failures int)) *Throttle {
	remembered, _ := simplelru.NewLRU[netip.Prefix, *source](sources, nil) // only a size that is not positive is an error
	return &Throttle{summarize: summarize, sources: remembered}
}

// Fail notes a failure. Over the limit, it says in what time the next one would be below it.
func (t *Throttle) Fail(address netip.Addr) (wait time.Duration, over bool) {
	network := networkOf(address)
	t.mu.Lock()
	defer t.mu.Unlock()
	s, known := t.sources.Get(network)
	if !known {
		s = &source{limit: rate.NewLimiter(perSecond, burst)}
		t.sources.Add(network, s)
	}
	reservation := s.limit.Reserve()
	wait = reservation.Delay()
	if wait == 0 {
		return 0, false
	}
	reservation.Cancel()
	s.passedOver++
	if s.passedOver == 1 {
		time.AfterFunc(Pause, func() { t.sum(network, s) })
	}
	return wait, true
}

func (t *Throttle) sum(network netip.Prefix, s *source) {
	t.mu.Lock()
	failures := s.passedOver
	s.passedOver = 0
	t.mu.Unlock()
	t.summarize(network, failures)
}

// networkOf is whom failures are counted against.
func networkOf(address netip.Addr) netip.Prefix {
	bits := address.BitLen()
	if address.Is6() {
		bits = ipv6Prefix
	}
	network, _ := address.Prefix(bits) // without an address, that of all who have none
	return network
}
