// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"testing"
	"time"
)

// TestTheTokenInUseStays: a flood of other repositories fills the cache, and does not cost who is at work a
// new token each time.
func TestTheTokenInUseStays(t *testing.T) {
	cache := newTokenCache()
	key := func(i int) tokenKey { return tokenKey{scopes: time.Duration(i).String()} }
	fresh := time.Now().Add(time.Hour)
	for i := range 3 * maxTokens {
		cache.put(key(i), token{value: "t", stale: fresh})
		if _, ok := cache.get(key(0)); !ok {
			t.Fatalf("the token in use left with the %dth other", i)
		}
	}
	if _, ok := cache.get(key(1)); ok || cache.tokens.Len() != maxTokens {
		t.Errorf("%d tokens are kept; the one used longest ago: %t", cache.tokens.Len(), ok)
	}
}
