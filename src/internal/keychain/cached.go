// SPDX-License-Identifier: Apache-2.0

package keychain

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/singleflight"
)

const (
	// earliest is how long before its expiry a credential is renewed at most; short-lived ones keep three
	// quarters of their life.
	earliest = 5 * time.Minute
	// undated is how long an answer without an expiry is kept: a credential helper may be asked again
	// after it.
	undated = 5 * time.Minute
	// patience ends a question that nobody may be waiting for any more.
	patience = time.Minute
)

// Cached remembers the answers of k for each host until shortly before they expire: a quarter of what is left
// of their life, or 5 minutes, whichever is less. An answer without an expiry is kept for 5 minutes, the
// anonymous one too.
//
// Callers that ask for one host at the same time share one question, which lives on when some of them give
// up, for a minute at most. An error is not remembered; while the credential at hand is still good, a failed
// renewal is no error.
func Cached(k Keychain) Keychain {
	return &cache{next: k, answers: map[string]answer{}}
}

type answer struct {
	credential Credential
	until      time.Time // when to ask again
}

type cache struct {
	next   Keychain
	flight singleflight.Group[Credential]

	mu      sync.Mutex
	answers map[string]answer // by host
}

func (c *cache) Credential(ctx context.Context, host string) (Credential, error) {
	if known, ok := c.known(host); ok && time.Now().Before(known.until) {
		return known.credential, nil
	}
	credential, err := c.flight.Do(ctx, host, patience,
		func(ctx context.Context) (Credential, error) { return c.ask(ctx, host) })
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("wait for the credential for %s: %w", host, context.Cause(ctx))
	}
	return credential, err
}

func (c *cache) ask(ctx context.Context, host string) (Credential, error) {
	known, ok := c.known(host)
	if ok && time.Now().Before(known.until) {
		return known.credential, nil // answered between the caller's look and this flight
	}
	credential, err := c.next.Credential(ctx, host)
	now := time.Now()
	if err != nil {
		if ok && now.Before(known.credential.Expires) {
			return known.credential, nil
		}
		return Credential{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers[host] = answer{credential: credential, until: freshUntil(now, credential.Expires)}
	return credential, nil
}

func (c *cache) known(host string) (answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.answers[host]
	return known, ok
}

func freshUntil(now, expires time.Time) time.Time {
	if expires.IsZero() {
		return now.Add(undated)
	}
	return expires.Add(-min(expires.Sub(now)/4, earliest))
}
