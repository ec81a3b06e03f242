// SPDX-License-Identifier: Apache-2.0

package httpserver

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// begin takes a place that has to be there.
func begin(t *testing.T, transfers *Transfers, callers ...string) (end func()) {
	t.Helper()
	end, err := transfers.Begin(t.Context(), callers...)
	if err != nil {
		t.Fatal(err)
	}
	return end
}

// TestBeyondThePlacesARequestWaits for one that becomes free, or is told to come again.
func TestBeyondThePlacesARequestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transfers := NewTransfers(1)
		end := begin(t, transfers)
		time.AfterFunc(patience-time.Second, end)
		start := time.Now()
		second := begin(t, transfers)
		if waited := time.Since(start); waited != patience-time.Second {
			t.Errorf("it waited %s", waited)
		}
		start = time.Now()
		_, err := transfers.Begin(t.Context())
		answer := oci.ErrorFrom(err)
		if answer.Status() != http.StatusServiceUnavailable || answer.Code != oci.Unavailable || answer.Header.Get("Retry-After") != "5" {
			t.Errorf("without a place: %v, %d, %v", err, answer.Status(), answer.Header)
		}
		if waited := time.Since(start); waited != patience {
			t.Errorf("it waited %s", waited)
		}
		second()
		second() // once is enough
		if got, want := transfers.Counts(), (TransferCounts{Places: 1, Refused: 1}); got != want {
			t.Errorf("%+v", got)
		}
	})
}

// TestWhoGoesAwayWaitsNoMore and takes no place.
func TestWhoGoesAwayWaitsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transfers := NewTransfers(1)
		end := begin(t, transfers)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err := transfers.Begin(ctx)
		if oci.ErrorFrom(err).Code != oci.ClientClosed {
			t.Errorf("the error is %v", err)
		}
		end()
		begin(t, transfers)()
		if got, want := transfers.Counts(), (TransferCounts{Places: 1}); got != want {
			t.Errorf("%+v", got)
		}
	})
}

// TestFewWait: who finds the queue full is refused at once.
func TestFewWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transfers := NewTransfers(2)
		begin(t, transfers)
		begin(t, transfers)
		for range 2 {
			go func() { _, _ = transfers.Begin(t.Context()) }()
		}
		synctest.Wait()
		start := time.Now()
		if _, err := transfers.Begin(t.Context()); err == nil || time.Since(start) != 0 {
			t.Errorf("the error is %v after %s", err, time.Since(start))
		}
		time.Sleep(patience)
		synctest.Wait()
		if got, want := transfers.Counts(), (TransferCounts{Places: 2, InFlight: 2, Refused: 2 + 1}); got != want {
			t.Errorf("%+v", got)
		}
	})
}

// TestNoCallerTakesTheQueue: when it is full, the newcomer takes the part of who has the most in it, and is refused
// where that is he himself.
func TestNoCallerTakesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transfers := NewTransfers(4)
		for _, machine := range []string{"a", "b", "c"} {
			begin(t, transfers, "hog", machine)
		}
		begin(t, transfers, "other")
		var mu sync.Mutex
		outcomes := map[string]int{}
		wait := func(callers ...string) {
			go func() {
				if _, err := transfers.Begin(t.Context(), callers...); err != nil {
					mu.Lock()
					defer mu.Unlock()
					outcomes[callers[len(callers)-1]]++
				}
			}()
			synctest.Wait()
		}
		refused := func() map[string]int {
			mu.Lock()
			defer mu.Unlock()
			return maps.Clone(outcomes)
		}
		for _, machine := range []string{"1", "1", "1", "2"} {
			wait("hog", machine)
		}
		wait("hog", "3")
		if got := refused(); got["1"] != 1 || len(got) != 1 {
			t.Errorf("refused are %v, want one of the machine that has most", got)
		}
		wait("honest")
		if got := refused(); got["1"]+got["2"]+got["3"] != 2 || got["honest"] != 0 {
			t.Errorf("refused are %v, want another one of the hog", got)
		}
		wait("hog", "4")
		if got, counts := refused(), transfers.Counts(); got["honest"] != 0 || counts.Waiting != 4 || counts.Refused != 3 {
			t.Errorf("refused are %v; %+v", got, counts)
		}
		time.Sleep(patience)
		synctest.Wait()
	})
}

// TestNoCallerTakesAllPlaces whatever the names: the rest is for others. Nor does one of a caller's machines
// take all of the caller's.
func TestNoCallerTakesAllPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transfers := NewTransfers(16)
		got := 0
		for range 16 {
			go func() {
				if _, err := transfers.Begin(t.Context(), "hog", "machine"); err == nil {
					got++
				}
			}()
			synctest.Wait()
		}
		if got != 9 { // three quarters of three quarters
			t.Errorf("one machine has %d places of 16", got)
		}
		for i := range 16 {
			go func() {
				if _, err := transfers.Begin(t.Context(), "hog", fmt.Sprint("other", i)); err == nil {
					got++
				}
			}()
			synctest.Wait()
		}
		if got != 12 {
			t.Errorf("one caller has %d places of 16", got)
		}
		for range 4 {
			begin(t, transfers, "honest", "machine")
		}
		time.Sleep(patience)
		synctest.Wait()
	})
}

// TestWhoHasTheFewestIsNext, however many of another caller's came before.
func TestWhoHasTheFewestIsNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transfers := NewTransfers(8)
		var a []func()
		for range 6 {
			a = append(a, begin(t, transfers, "a"))
		}
		begin(t, transfers, "b")
		begin(t, transfers, "d")
		served := make(chan string, 20)
		for _, caller := range []string{"a", "a", "a", "b", "c", "b"} {
			go func() {
				if _, err := transfers.Begin(t.Context(), caller); err == nil {
					served <- caller
				}
			}()
			synctest.Wait()
		}
		for i, want := range []string{"c", "b", "b", "a"} {
			a[i]()
			synctest.Wait()
			select {
			case got := <-served:
				if got != want {
					t.Errorf("turn %d is that of %s, want %s", i, got, want)
				}
			default:
				t.Fatalf("turn %d is nobody's", i)
			}
		}
		time.Sleep(patience)
		synctest.Wait()
	})
}

// TestPlacesAreNeverOverdrawn by any order of arrivals, ends and departures, and none is lost.
func TestPlacesAreNeverOverdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const places = 7
		transfers := NewTransfers(places)
		random := rand.New(rand.NewPCG(1, 2))
		for range 2000 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(8000))*time.Millisecond)
			caller, machine := fmt.Sprint(random.IntN(3)), fmt.Sprint(random.IntN(3))
			stay := time.Duration(random.IntN(1500)) * time.Millisecond
			go func() {
				defer cancel()
				end, err := transfers.Begin(ctx, caller, machine)
				if err != nil {
					return
				}
				time.Sleep(stay)
				end()
			}()
			time.Sleep(time.Duration(random.IntN(100)) * time.Millisecond)
			synctest.Wait()
			if got := transfers.Counts(); got.InFlight > places || got.Waiting > places {
				t.Fatalf("%+v", got)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := transfers.Counts(); got.InFlight != 0 || got.Waiting != 0 || len(transfers.held) != 0 {
			t.Errorf("%+v, %v held", got, transfers.held)
		}
	})
}

// BenchmarkBegin is what admission costs a request.
func BenchmarkBegin(b *testing.B) {
	transfers := NewTransfers(100)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			end, err := transfers.Begin(b.Context(), "customer", "192.0.2.1")
			if err != nil {
				b.Error(err)
				return
			}
			end()
		}
	})
}
