// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"net"
	"net/netip"
	"strconv"

	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
)

// DefaultAddress is where a port is served when no flag says otherwise: on every address in a cluster, where
// the API server lets people in, and on loopback elsewhere, because nobody does there.
func DefaultAddress(port int) string { return defaultAddress(port, kube.InCluster()) }

func defaultAddress(port int, inCluster bool) string {
	host := "127.0.0.1"
	if inCluster {
		host = ""
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// openToOthers reports whether others than this machine's users can reach an address.
func openToOthers(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return true
	}
	if host == "localhost" {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err != nil || !ip.Unmap().IsLoopback()
}
