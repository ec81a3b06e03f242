// SPDX-License-Identifier: Apache-2.0

package httpserver

import (
	"net"
	"net/http"
	"strings"
)

// Peer returns the address that connects, without its port.
func Peer(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// Hops returns what X-Forwarded-For says. Each proxy adds whom it has seen at the end; what is before the words
// of those that are trusted, the client may have made up.
func Hops(r *http.Request) []string {
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i, hop := range hops {
		hops[i] = strings.TrimSpace(hop)
	}
	return hops
}
