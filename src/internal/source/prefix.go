// SPDX-License-Identifier: Apache-2.0

package source

import (
	"net"
	"net/http"
	"net/netip"
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

// callersOf returns who connects, which mostly is the API server, and for whom it says that it does.
func callersOf(r *http.Request) []string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	// The last one is who spoke to the API server; what is before it, the client may have made up.
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	if client, err := netip.ParseAddr(strings.TrimSpace(hops[len(hops)-1])); err == nil {
		return []string{host, client.String()}
	}
	return []string{host}
}
