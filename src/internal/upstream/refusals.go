// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
)

// refusalMemory is how long a refused password is not shown again: registries ban accounts that fail too often (quirk A10).
const refusalMemory = 30 * time.Second

// fingerprint tells credentials apart without keeping one.
type fingerprint [sha256.Size]byte

func fingerprintOf(c keychain.Credential) fingerprint {
	hash := sha256.New()
	for _, part := range []string{c.Username, c.Password, c.IdentityToken, c.RegistryToken} {
		fmt.Fprintf(hash, "%d:", len(part))
		_, _ = io.WriteString(hash, part)
	}
	return fingerprint(hash.Sum(nil))
}

// refusals remembers that a credential was refused. A changed credential is another one, and is shown at once.
type refusals struct {
	mu    sync.Mutex
	of    fingerprint
	until time.Time
}

// remember notes a refusal (401) if it was about the credential itself, not about a token's scope.
func (f *refusals) remember(c keychain.Credential, shown authorization, call Call) {
	if shown.password && len(call.Scopes) < 2 {
		f.note(c)
	}
}

// note notes that a credential was refused. Callers leave out requests for two repositories, such as a mount: some servers refuse
// those whatever the credential (quirk A3).
func (f *refusals) note(c keychain.Credential) {
	if c.Anonymous() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of, f.until = fingerprintOf(c), time.Now().Add(refusalMemory)
}

func (f *refusals) check(c keychain.Credential) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.until.IsZero() || time.Now().After(f.until) || f.of != fingerprintOf(c) {
		return nil
	}
	return &Refusal{Status: http.StatusUnauthorized, Reason: fmt.Sprintf(
		"the registry refused this credential moments ago; it is tried again in %s, or at once when it changes", time.Until(f.until).Round(time.Second))}
}
