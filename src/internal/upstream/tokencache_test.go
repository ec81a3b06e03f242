// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"strconv"
	"strings"
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

// TestTokensAreBoundedInBytes: whatever the size of tokens, the cache holds so many bytes. Replaced and
// forgotten ones do not count.
func TestTokensAreBoundedInBytes(t *testing.T) {
	cache := newTokenCache()
	key := func(i int) tokenKey { return tokenKey{realm: strconv.Itoa(i)} }
	value := strings.Repeat("t", maxTokenBytes/10)
	for i := range 100 {
		for range 3 {
			cache.put(key(i), token{value: value, stale: time.Now().Add(time.Hour)})
		}
		if held := cache.tokens.Len(); held != min(i+1, 10) || cache.bytes != held*len(value) {
			t.Fatalf("after %d tokens %d are held, with %d bytes", i+1, held, cache.bytes)
		}
	}
	for i := 90; i < 100; i++ {
		cache.forget(authorization{key: key(i), header: "Bearer " + value})
	}
	if cache.bytes != 0 || cache.tokens.Len() != 0 {
		t.Errorf("%d tokens with %d bytes are left", cache.tokens.Len(), cache.bytes)
	}
}
