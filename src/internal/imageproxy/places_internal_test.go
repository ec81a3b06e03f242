// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"context"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
)

// market is the places of a license "a" with one credential.
type market struct {
	*places
	t     *testing.T
	store *catalog.Store
	hash  hash
	key   lineKey
}

func newMarket(t *testing.T, fallback, own int) *market {
	m := &market{t: t, store: catalog.NewStore(), hash: sha256.Sum256([]byte("a")), key: lineKey{license: "a", blobs: true}}
	m.places = newPlaces(m.store, fallback)
	m.put(catalog.License{ConcurrentPulls: own})
	return m
}

// put has a license in force.
func (m *market) put(l catalog.License) {
	l.Name = "a"
	m.store.Replace(catalog.New([]*catalog.Credential{{License: &l, Name: "a", Hash: m.hash}}, nil))
}

// come asks for a place, and tells the outcome.
func (m *market) come() <-chan error { return m.comeWithin(m.t.Context()) }

func (m *market) comeWithin(ctx context.Context) <-chan error {
	credential, ok := m.store.Current().ByHash(m.hash)
	if !ok {
		m.t.Error("there is no license")
	}
	done := make(chan error, 1)
	go func() {
		_, err := m.take(ctx, m.key, credential)
		done <- err
	}()
	synctest.Wait()
	return done
}

// stands reports the outcome of one that came: "in", "waits" or the error.
func stands(done <-chan error) string {
	synctest.Wait()
	select {
	case err := <-done:
		if err != nil {
			return err.Error()
		}
		return "in"
	default:
		return "waits"
	}
}

func (m *market) is(done <-chan error, want string) {
	m.t.Helper()
	if got := stands(done); got != want {
		m.t.Errorf("it %s, want %s", got, want)
	}
}

// empty reports that nothing is remembered of anybody.
func (m *market) empty() {
	m.t.Helper()
	synctest.Wait()
	if len(m.lines) > 0 {
		m.t.Errorf("remembered: %v", m.lines)
	}
	m.close()
}

func TestWaitingForAPlace(t *testing.T) {
	const most = 3
	refused := errNoPlace.Error()
	for name, test := range map[string]func(m *market){
		"first come, first served": func(m *market) {
			first, second := m.come(), m.come()
			m.is(first, "waits")
			m.leave(m.key)
			m.is(first, "in")
			m.is(second, "waits")
			m.leave(m.key)
			m.is(second, "in")
		},
		"for half a minute": func(m *market) {
			one := m.come()
			time.Sleep(maxWait - time.Second)
			m.is(one, "waits")
			time.Sleep(time.Second)
			m.is(one, refused)
		},
		"in a line that is bounded": func(m *market) {
			var line []<-chan error
			for range most * waitingPerPlace {
				line = append(line, m.come())
			}
			m.is(m.come(), refused)
			for _, each := range line {
				m.is(each, "waits")
				m.leave(m.key)
				m.is(each, "in")
			}
		},
		"and going away": func(m *market) {
			gone, leave := context.WithCancelCause(m.t.Context())
			first, second := m.comeWithin(gone), m.come()
			leave(errors.New("the client is gone"))
			m.is(first, "the client is gone")
			m.leave(m.key)
			m.is(second, "in")
		},
		"until the license has more": func(m *market) {
			first, second, third := m.come(), m.come(), m.come()
			m.put(catalog.License{ConcurrentPulls: most + 2})
			m.is(first, "in")
			m.is(second, "in")
			m.is(third, "waits")
			m.put(catalog.License{ConcurrentPulls: most}) // those under way finish
			m.leave(m.key)
			m.leave(m.key)
			m.is(third, "waits")
			m.leave(m.key)
			m.is(third, "in")
		},
		"until the license is revoked": func(m *market) {
			first, second := m.come(), m.come()
			m.put(catalog.License{Revoked: true})
			m.is(first, refused)
			m.is(second, refused)
		},
		"until the license is gone": func(m *market) {
			one := m.come()
			m.store.Replace(catalog.New(nil, nil))
			m.is(one, refused)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMarket(t, most, 0)
				for range most {
					m.is(m.come(), "in")
				}
				test(m) // as many are in at its end
				for range most {
					m.leave(m.key)
				}
				m.empty()
			})
		})
	}
}

// TestHowManyPlaces: a license's own number before the usual one, and none where neither is.
func TestHowManyPlaces(t *testing.T) {
	for _, test := range []struct{ fallback, own, want int }{{2, 0, 2}, {2, 3, 3}, {2, 1, 1}, {0, 2, 2}, {0, 0, 50}} {
		synctest.Test(t, func(t *testing.T) {
			m := newMarket(t, test.fallback, test.own)
			ctx, end := context.WithCancel(t.Context())
			in, all := 0, []<-chan error{}
			for range 50 {
				all = append(all, m.comeWithin(ctx))
			}
			for _, each := range all {
				if stands(each) == "in" {
					in++
				}
			}
			if in != test.want {
				t.Errorf("%+v: %d are in", test, in)
			}
			end()
			for range in {
				m.leave(m.key)
			}
			m.empty()
		})
	}
}

// TestPlacesUnderLoad: however requests come, go and give up, and however often the license changes, never more
// than its largest number are under way, and nothing is remembered in the end.
func TestPlacesUnderLoad(t *testing.T) {
	const most = 5
	m := newMarket(t, 2, 0)
	var underWay, peak, served atomic.Int64
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 1))
			ctx, end := context.WithTimeout(t.Context(), time.Duration(random.IntN(20))*time.Millisecond)
			defer end()
			credential, ok := m.store.Current().ByHash(m.hash)
			if !ok {
				return
			}
			if _, err := m.take(ctx, m.key, credential); err != nil {
				return
			}
			now := underWay.Add(1)
			for old := peak.Load(); now > old && !peak.CompareAndSwap(old, now); old = peak.Load() {
			}
			served.Add(1)
			<-ctx.Done()
			underWay.Add(-1)
			m.leave(m.key)
		})
		if i%10 == 0 {
			m.put(catalog.License{ConcurrentPulls: 1 + i%most, Revoked: i%70 == 60})
		}
	}
	all.Wait()
	if peak.Load() > most || served.Load() == 0 {
		t.Errorf("%d at once, %d served", peak.Load(), served.Load())
	}
	if len(m.lines) > 0 {
		t.Errorf("remembered: %v", m.lines)
	}
	m.close()
}
