// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
)

// NewID makes a license id: 26 characters with at least 128 bits of chance, which need no escaping anywhere.
func NewID() string { return rand.Text() }

// Hash is how an id is written into a [Credential]: its SHA-256 in hex.
func Hash(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}
