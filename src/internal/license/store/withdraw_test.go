// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/filewatch"
)

// TestACredentialThatIsGoneIsWithdrawn after a minute, not before, and not when it comes back meanwhile.
func TestACredentialThatIsGoneIsWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		changes := 0
		c := &credentialReader{
			changed: func() { mu.Lock(); defer mu.Unlock(); changes++ }, read: credentials{}, gone: map[string]*filewatch.Withdrawal{},
		}
		inUse := func(want bool) {
			t.Helper()
			synctest.Wait()
			c.mu.Lock()
			defer c.mu.Unlock()
			if got := c.read["quay"].config != nil; got != want {
				t.Errorf("in use: %v, want %v (%v)", got, want, c.read["quay"].err)
			}
		}
		take := func(data string, err error) { c.take(t.Context(), "quay", "Secret quay", []byte(data), err) }
		const good = `{"auths":{"quay.io":{"auth":"dTpw"}}}`
		gone := filewatch.Missing(errors.New("the Secret quay does not exist"))
		take(good, nil)
		take("", gone)
		time.Sleep(filewatch.Grace - time.Second)
		inUse(true)
		take(good, nil)
		time.Sleep(2 * filewatch.Grace)
		inUse(true)
		take("", errors.New("the API server is away"))
		time.Sleep(2 * filewatch.Grace)
		inUse(true)
		take("", gone)
		time.Sleep(filewatch.Grace / 2)
		take("", gone) // told again: the minute is the first one's
		inUse(true)
		time.Sleep(filewatch.Grace/2 + time.Second)
		inUse(false)
		mu.Lock()
		defer mu.Unlock()
		if changes != 7 {
			t.Errorf("%d changes were told, want 7", changes)
		}
	})
}
