// SPDX-License-Identifier: Apache-2.0

package source

import (
	"net/http"
	"path"
	"strings"
)

// prefixOf returns what the API server's service proxy has taken off the path. It says so in X-Forwarded-Uri,
// as escaped as the path arrived; a value that does not end in that path, or is anything but a clean path,
// counts as none.
func prefixOf(r *http.Request) string {
	forwarded, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Uri"), "?")
	prefix, ok := strings.CutSuffix(strings.TrimSuffix(forwarded, "/"), strings.TrimSuffix(r.URL.EscapedPath(), "/"))
	if !ok || !strings.HasPrefix(prefix, "/") || path.Clean(prefix) != prefix || strings.ContainsFunc(prefix, unusual) {
		return ""
	}
	return prefix
}

// unusual reports whether a character has no place in the API server's paths.
func unusual(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("/._:~-", c)
}
