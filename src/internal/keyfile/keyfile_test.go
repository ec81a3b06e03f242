// SPDX-License-Identifier: Apache-2.0

package keyfile_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keyfile"
)

func TestParse(t *testing.T) {
	good := string(keyfile.Generate())
	for name, file := range map[string]string{
		"one":                  good,
		"no newline":           strings.TrimSpace(good),
		"comment, blank, CRLF": "# rotated\r\n\r\n" + strings.TrimSpace(good) + "\r\n",
	} {
		if keys, err := keyfile.Parse("keys", []byte(file)); err != nil || len(keys) != 1 || len(keys[0]) != keyfile.Size {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
		}
	}
	secret := "c2hvcnQga2V5"
	for name, test := range map[string]struct{ file, want string }{
		"empty":      {"", "keys: holds no key"},
		"comments":   {"# nothing\n", "keys: holds no key"},
		"short":      {good + secret + "\n", "keys: line 2 is not a key"},
		"not base64": {"not base64!\n", "keys: line 1 is not a key"},
		"a PEM file": {"-----BEGIN PRIVATE KEY-----\n", "keys: line 1 is not a key"},
		"one line":   {strings.Repeat("a", 1<<20), "keys: not a key file"},
	} {
		_, err := keyfile.Parse("keys", []byte(test.file))
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s: %v; want %q…", name, err, test.want)
		} else if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error quotes the file or has two lines: %v", name, err)
		}
	}
}

// TestOrder: the first key is the one that makes.
func TestOrder(t *testing.T) {
	first, second := keyfile.Generate(), keyfile.Generate()
	keys, err := keyfile.Parse("keys", append(bytes.Clone(first), second...))
	if err != nil || len(keys) != 2 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	for i, line := range [][]byte{first, second} {
		if alone, err := keyfile.Parse("keys", line); err != nil || !bytes.Equal(alone[0], keys[i]) {
			t.Errorf("key %d is another one, %v", i, err)
		}
	}
	if bytes.Equal(keys[0], keys[1]) {
		t.Error("two random keys are the same")
	}
}
