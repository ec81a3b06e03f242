// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// withoutHosts takes the names and addresses of other hosts out of a registry's words: its storage, its proxies,
// its name server. What the client has asked for itself stays, and so do media types, versions and file names.
func withoutHosts(message, own string) string {
	candidate := regexp.MustCompile(`[A-Za-z0-9+/._\[\]:-]+`)
	return candidate.ReplaceAllStringFunc(message, func(word string) string {
		trimmed := strings.TrimRight(word, ".:")
		if !namesHost(trimmed) || strings.Contains(own, trimmed) {
			return word
		}
		return "[address]" + word[len(trimmed):]
	})
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// namesHost reports whether a word is a host, with or without a port or a path.
func namesHost(word string) bool {
	word, _, _ = strings.Cut(word, "/")
	if _, err := netip.ParseAddrPort(word); err == nil {
		return true
	}
	if _, err := netip.ParseAddr(strings.Trim(word, "[]")); err == nil {
		return true
	}
	name, port, hasPort := strings.Cut(word, ":")
	if hasPort && (port == "" || strings.Trim(port, "0123456789") != "") {
		return false
	}
	labels := strings.Split(name, ".")
	last := labels[len(labels)-1]
	if len(labels) < 2 || len(last) < 2 || slices.Contains([]string{"go", "gz", "html", "json", "tar", "txt", "yaml", "yml", "zip"}, last) {
		return false
	}
	return strings.Trim(last, letters) == "" && strings.ContainsAny(labels[0], letters) && oci.IsHost(name)
}
