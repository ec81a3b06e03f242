// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"crypto/rand"
	"encoding/base64"
	"path/filepath"
	"strings"
	"testing"
)

// NewKey returns a line of a session key file: 32 random bytes in base64.
func NewKey() string {
	key := make([]byte, 32)
	// crypto/rand.Read never fails.
	_, _ = rand.Read(key)
	return base64.StdEncoding.EncodeToString(key)
}

// KeyFile writes a session key file and returns the flag for it.
func KeyFile(t testing.TB, keys ...string) string {
	t.Helper()
	file := WriteFile(t, filepath.Join(t.TempDir(), "session-keys"), []byte(strings.Join(keys, "\n")+"\n"))
	return "--session-key-file=" + file
}
