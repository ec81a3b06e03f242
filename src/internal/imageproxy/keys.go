// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"

	"github.com/golang-jwt/jwt/v5"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keyfile"
)

// purpose is bound into the derived keys: the same key file may have the keys of upload sessions.
const purpose = "local-source-proxy image-proxy tokens v1"

// TokenKeys sign with the first key and check with any, so that a key can be replaced while its tokens are in
// use.
type TokenKeys struct {
	signing []byte
	all     jwt.VerificationKeySet
}

// ParseTokenKeys derives keys from those of a key file (package keyfile). place names the file in errors.
func ParseTokenKeys(place string, data []byte) (*TokenKeys, error) {
	raw, err := keyfile.Parse(place, data)
	if err != nil {
		return nil, err
	}
	k := &TokenKeys{}
	for _, key := range raw {
		derived, err := hkdf.Key(sha256.New, key, nil, purpose, sha256.Size)
		if err != nil {
			return nil, fmt.Errorf("%s: derive key: %w", place, err)
		}
		if k.signing == nil {
			k.signing = derived
		}
		k.all.Keys = append(k.all.Keys, derived)
	}
	return k, nil
}

// find returns every key; it is a [jwt.Keyfunc].
func (k *TokenKeys) find(*jwt.Token) (any, error) { return k.all, nil }
