// SPDX-License-Identifier: Apache-2.0

package session

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// KeySize is the length of a key, in bytes.
const KeySize = 32

// Keys seal with the first and open with any, so that a key can be replaced while uploads run.
type Keys struct {
	ciphers []cipher.AEAD
}

// GenerateKey makes the content of a key file with one random key.
func GenerateKey() []byte {
	key := make([]byte, KeySize)
	_, _ = rand.Read(key) // never fails: see crypto/rand
	return []byte(base64.StdEncoding.EncodeToString(key) + "\n")
}

// ParseKeys reads a key file: one key of 32 bytes a line in standard base64; blank lines and lines that begin with # are
// passed over. place names the file in errors, which never quote what a line holds.
func ParseKeys(place string, data []byte) (*Keys, error) {
	keys := &Keys{}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(key) != KeySize {
			return nil, fmt.Errorf("%s: line %d is not a session key: write %d bytes in base64, for example the output of 'head -c %d /dev/urandom | base64'", place, number, KeySize, KeySize)
		}
		aead, err := newAEAD(key)
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", place, number, err)
		}
		keys.ciphers = append(keys.ciphers, aead)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: not a key file: %w", place, err)
	}
	if len(keys.ciphers) == 0 {
		return nil, fmt.Errorf("%s: holds no session key: write one line with %d bytes in base64, for example the output of 'head -c %d /dev/urandom | base64'", place, KeySize, KeySize)
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
