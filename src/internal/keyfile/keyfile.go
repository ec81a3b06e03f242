// SPDX-License-Identifier: Apache-2.0

package keyfile

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
)

// Size is the length of a key, in bytes.
const Size = 32

// Generate makes the content of a key file with one random key.
func Generate() []byte {
	key := make([]byte, Size)
	_, _ = rand.Read(key) // never fails: see crypto/rand
	return []byte(base64.StdEncoding.EncodeToString(key) + "\n")
}

// Parse reads a key file: one key of 32 bytes a line in standard base64; blank lines and lines that begin
// with # are passed over. There is at least one key without an error. place names the file in errors.
func Parse(place string, data []byte) ([][]byte, error) {
	var keys [][]byte
	lines := bufio.NewScanner(bytes.NewReader(data))
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(key) != Size {
			return nil, fmt.Errorf("%s: line %d is not a key: write %d bytes in base64, for example the output of 'head -c %d /dev/urandom | base64'", place, number, Size, Size)
		}
		keys = append(keys, key)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: not a key file: %w", place, err)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s: holds no key: write one line with %d bytes in base64, for example the output of 'head -c %d /dev/urandom | base64'", place, Size, Size)
	}
	return keys, nil
}
