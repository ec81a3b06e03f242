// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver"
)

// TrustedProxies are the networks whose word is taken.
type TrustedProxies []netip.Prefix

// ParseTrustedProxies reads networks, or single addresses, separated by commas.
func ParseTrustedProxies(list string) (TrustedProxies, error) {
	var all TrustedProxies
	for each := range strings.SplitSeq(list, ",") {
		each = strings.TrimSpace(each)
		if each == "" {
			continue
		}
		network, err := netip.ParsePrefix(each)
		if address, addressErr := netip.ParseAddr(each); addressErr == nil && address.Zone() == "" {
			network, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("%q is not a network: write it like 10.0.0.0/8, several with commas between", each)
		}
		all = append(all, network.Masked())
	}
	return all, nil
}

// Trust says whether an address is in one of the networks.
func (p TrustedProxies) Trust(address netip.Addr) bool {
	return slices.ContainsFunc(p, func(network netip.Prefix) bool { return network.Contains(address) })
}

// Origin is where a request comes from.
type Origin struct {
	// Address of the client; the zero one where it is not known.
	Address netip.Addr
	// TLS says that the client is known to speak it. A terminator that is not trusted leaves it open.
	TLS bool
}

// Of tells the origin of a request.
func (p TrustedProxies) Of(r *http.Request) Origin {
	peer := read(r.RemoteAddr)
	o := Origin{Address: peer, TLS: r.TLS != nil}
	if !p.Trust(peer) {
		return o
	}
	// The last one that is no proxy of ours is the client.
	for _, hop := range slices.Backward(httpserver.Hops(r)) {
		address := read(hop)
		if !address.IsValid() {
			break
		}
		o.Address = address
		if !p.Trust(address) {
			break
		}
	}
	first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Proto"), ",")
	if strings.EqualFold(strings.TrimSpace(first), "https") {
		o.TLS = true
	}
	return o
}

// read reads an address, with or without a port; IPv4 in IPv6 is IPv4.
func read(s string) netip.Addr {
	if both, err := netip.ParseAddrPort(s); err == nil {
		return both.Addr().Unmap().WithZone("")
	}
	address, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return address.Unmap().WithZone("")
}
