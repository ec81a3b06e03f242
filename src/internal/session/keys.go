// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keyfile"
)

// Keys seal with the first and open with any, so that a key can be replaced while uploads run.
type Keys struct {
	ciphers []cipher.AEAD
}

// ParseKeys reads a key file (package keyfile). place names the file in errors.
func ParseKeys(place string, data []byte) (*Keys, error) {
	raw, err := keyfile.Parse(place, data)
	if err != nil {
		return nil, err
	}
	keys := &Keys{}
	for _, key := range raw {
		aead, err := newAEAD(key)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", place, err)
		}
		keys.ciphers = append(keys.ciphers, aead)
	}
	return keys, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	return aead, nil
}

func (k *Keys) seal(plain, owner []byte) []byte {
	return k.ciphers[0].Seal(nil, nil, plain, owner)
}

var errNoKeyOpens = errors.New("no key opens the token")

func (k *Keys) open(sealed, owner []byte) ([]byte, error) {
	for _, aead := range k.ciphers {
		if plain, err := aead.Open(nil, nil, sealed, owner); err == nil {
			return plain, nil
		}
	}
	return nil, errNoKeyOpens
}
