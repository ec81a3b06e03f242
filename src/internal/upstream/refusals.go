// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
	"github.com/local-source-proxy/local-source-proxy/src/internal/singleflight"
)

const (
	// refusalMemory is how long a refused password is not shown again: registries ban accounts that fail too
	// often (quirk A10).
	refusalMemory = 30 * time.Second
	// takenMemory is for how long a credential counts as good that a registry took, where the registry does
	// not tell.
	takenMemory = 10 * time.Minute
	// maxRefused bounds the repositories for which a refusal is remembered; the oldest leave first.
	maxRefused = 1024
	// maxUnproven is for how many repositories a credential is refused, within the memory's time, before it
	// is no longer shown for others, where a registry does not let it be found out whether it is good.
	maxUnproven = 16
)

// fingerprint tells credentials apart without keeping one.
type fingerprint [sha256.Size]byte

func fingerprintOf(c keychain.Credential) fingerprint {
	var parts []byte
	for _, part := range []string{c.Username, c.Password, c.IdentityToken, c.RegistryToken} {
		parts = binary.AppendUvarint(parts, uint64(len(part)))
		parts = append(parts, part...)
	}
	return sha256.Sum256(parts)
}

// Standing is what a registry thinks of a credential, whatever the repository.
type Standing int

// What a registry may think of a credential. Unproven: it does not tell.
const (
	Unknown Standing = iota
	Accepted
	Refused
	Unproven
)

// refusals remembers for which repositories a credential was refused, and how it stands besides. A changed
// credential is another one, and is shown at once.
//
// A refusal for one repository is none for the others: who chooses the repository may be a stranger to those
// who use the others. But it may come of a wrong password, so before the credential is shown for another
// repository, [Registry.prove] finds that out.
type refusals struct {
	mu           sync.Mutex
	of           fingerprint
	repositories *simplelru.LRU[string, time.Time] // until when
	standing     Standing
	until        time.Time // when the standing is unknown again
	taken        time.Time // when the registry last took it for a request
	group        singleflight.Group[error]
}

// remember notes a refusal (401) if it was about the credential itself, not about a token's scope.
func (f *refusals) remember(c keychain.Credential, shown authorization, call Call) {
	if shown.password {
		f.note(c, call)
	}
}

// note notes that a credential was refused. It leaves out requests for two repositories, such as a mount:
// some servers refuse those whatever the credential (quirk A3).
func (f *refusals) note(c keychain.Credential, call Call) {
	if c.Anonymous() || len(call.Scopes) > 1 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turnTo(c)
	f.repositories.Add(call.repository(), time.Now().Add(refusalMemory))
}

// settle notes how a credential stands.
func (f *refusals) settle(c keychain.Credential, s Standing) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turnTo(c)
	f.standing, f.until = s, time.Now().Add(refusalMemory)
}

// see notes when an answer, if there is one, shows that the registry took the credential itself.
func (f *refusals) see(c keychain.Credential, shown authorization, resp *http.Response) {
	if resp == nil || resp.StatusCode >= http.StatusBadRequest || !shown.password || c.Anonymous() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turnTo(c)
	f.taken = time.Now()
}

// wasTaken reports whether the registry took the credential not long ago. The lock is held.
func (f *refusals) wasTaken() bool { return !f.taken.IsZero() && time.Since(f.taken) < takenMemory }

// stands returns how a credential stands, as far as it is known. Where it cannot be found out, it is good if
// it was taken lately.
func (f *refusals) stands(c keychain.Credential) Standing {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.repositories == nil || f.of != fingerprintOf(c) || time.Now().After(f.until):
		return Unknown
	case f.standing == Unproven && f.wasTaken():
		return Accepted
	default:
		return f.standing
	}
}

// turnTo forgets what another credential than this one was refused for.
func (f *refusals) turnTo(c keychain.Credential) {
	if of := fingerprintOf(c); f.repositories == nil || f.of != of {
		f.of, f.standing, f.taken = of, Unknown, time.Time{}
		f.repositories, _ = simplelru.NewLRU[string, time.Time](maxRefused, nil) // only a size that is not positive is an error
	}
}

// check refuses to show a credential again that was refused. It reports whether it has to be proven first
// that it is good.
func (f *refusals) check(c keychain.Credential, call Call) (doubtful bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.repositories == nil || f.of != fingerprintOf(c) || c.Anonymous() {
		return false, nil
	}
	now := time.Now()
	if now.After(f.until) {
		f.standing = Unknown
	}
	for _, until, ok := f.repositories.GetOldest(); ok && now.After(until); _, until, ok = f.repositories.GetOldest() {
		f.repositories.RemoveOldest()
	}
	if until, ok := f.repositories.Peek(call.repository()); ok {
		return false, refusedUntil(until)
	}
	if f.standing == Refused || f.standing == Unproven && !f.wasTaken() && f.repositories.Len() >= maxUnproven {
		return false, refusedUntil(f.until)
	}
	return f.standing == Unknown && f.repositories.Len() > 0, nil
}

func refusedUntil(until time.Time) error {
	return &Refusal{Status: http.StatusUnauthorized, Reason: fmt.Sprintf(
		"the registry refused this credential moments ago; it is tried again in %s, or at once when it changes", time.Until(until).Round(time.Second))}
}
