// SPDX-License-Identifier: Apache-2.0

package keychain_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source counts how often it is asked; the password is the number of the question.
type source struct {
	mu     sync.Mutex
	asked  int
	life   time.Duration // of each credential; 0: no expiry
	delay  time.Duration
	broken error
}

func (s *source) Credential(ctx context.Context, _ string) (keychain.Credential, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	select {
	case <-time.After(s.delay):
	case <-ctx.Done():
		return keychain.Credential{}, ctx.Err()
	}
	if s.broken != nil {
		return keychain.Credential{}, s.broken
	}
	credential := keychain.Credential{Username: "u", Password: strconv.Itoa(s.asked)}
	if s.life != 0 {
		credential.Expires = time.Now().Add(s.life)
	}
	return credential, nil
}

func wantPassword(t *testing.T, k keychain.Keychain, want string) {
	t.Helper()
	got, err := k.Credential(t.Context(), host)
	if err != nil || got.Password != want {
		t.Errorf("got password %q, error %v, want %q", got.Password, err, want)
	}
}

func TestCachedKeepsUntilShortlyBeforeExpiry(t *testing.T) {
	tests := []struct {
		name       string
		life, keep time.Duration
	}{
		{"twelve hours: five minutes before", 12 * time.Hour, 12*time.Hour - 5*time.Minute},
		{"eight minutes: a quarter before", 8 * time.Minute, 6 * time.Minute},
		{"no expiry: five minutes", 0, 5 * time.Minute},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cached := keychain.Cached(&source{life: test.life})
				wantPassword(t, cached, "1")
				time.Sleep(test.keep - time.Second)
				wantPassword(t, cached, "1")
				time.Sleep(time.Second)
				wantPassword(t, cached, "2")
			})
		})
	}
}

func TestCachedKeepsHostsApart(t *testing.T) {
	byHost := keychain.Func(func(_ context.Context, host string) (keychain.Credential, error) {
		return keychain.Credential{RegistryToken: host}, nil
	})
	cached := keychain.Cached(byHost)
	for _, host := range []string{"a.example.com", "b.example.com", "a.example.com"} {
		if got, err := cached.Credential(t.Context(), host); err != nil || got.RegistryToken != host {
			t.Errorf("%s: got the credential of %s, error %v", host, got.RegistryToken, err)
		}
	}
}

func TestCachedDoesNotRememberErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("cloud is down")
		src := &source{life: time.Hour, broken: broken}
		cached := keychain.Cached(src)
		if _, err := cached.Credential(t.Context(), host); !errors.Is(err, broken) {
			t.Fatalf("got error %v, want %v", err, broken)
		}
		src.broken = nil
		wantPassword(t, cached, "2")
	})
}

func TestCachedOutlivesAFailedRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{life: time.Hour}
		cached := keychain.Cached(src)
		wantPassword(t, cached, "1")

		src.broken = errors.New("cloud is down")
		time.Sleep(58 * time.Minute)
		wantPassword(t, cached, "1")
		if src.asked != 2 {
			t.Errorf("asked %d times, want 2: a renewal is due", src.asked)
		}
		time.Sleep(2 * time.Minute)
		if got, err := cached.Credential(t.Context(), host); !errors.Is(err, src.broken) {
			t.Errorf("expired: got %v and error %v", got, err)
		}
	})
}

func TestCachedSharesOneQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{life: time.Hour, delay: 10 * time.Second}
		cached := keychain.Cached(src)
		quitter, quit := context.WithCancelCause(t.Context())
		gone := errors.New("client is gone")

		var group sync.WaitGroup
		group.Go(func() { // the first caller, whose context started the question
			if _, err := cached.Credential(quitter, host); !errors.Is(err, gone) {
				t.Errorf("quitter: got error %v, want %v", err, gone)
			}
		})
		synctest.Wait()
		for range 20 {
			group.Go(func() { wantPassword(t, cached, "1") })
		}
		synctest.Wait()
		quit(gone)
		group.Wait()
		if src.asked != 1 {
			t.Errorf("asked %d times, want once", src.asked)
		}
	})
}

func TestCachedGivesUpOnASilentSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cached := keychain.Cached(&source{delay: time.Hour})
		start := time.Now()
		if _, err := cached.Credential(t.Context(), host); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got error %v, want %v", err, context.DeadlineExceeded)
		}
		if waited := time.Since(start); waited != time.Minute {
			t.Errorf("waited %v, want a minute", waited)
		}
	})
}
