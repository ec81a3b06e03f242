// SPDX-License-Identifier: Apache-2.0

package source

import (
	"net/http"
	"net/netip"

	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver"
)

// callersOf returns who connects, which mostly is the API server, and for whom it says that it does: the last
// one of the hops is who spoke to it.
func callersOf(r *http.Request) []string {
	callers, hops := []string{httpserver.Peer(r)}, httpserver.Hops(r)
	if client, err := netip.ParseAddr(hops[len(hops)-1]); err == nil {
		callers = append(callers, client.String())
	}
	return callers
}
