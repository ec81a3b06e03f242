// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// errAddress is the error for an address that no redirect may lead to. It is looked at as it is dialled,
// because whoever names a host in a redirect may be the one who says which address it has.
var errAddress = errors.New("no redirect is followed to an address of this kind")

// elsewhere carries redirected downloads to places that the registry chooses. It refuses those that only
// this machine, its neighbours or its cloud should talk to: a registry could otherwise have the proxy ask
// them, and read the answer.
type elsewhere struct {
	// direct dials with a look at the address. proxied goes through the HTTP proxy of the environment,
	// which resolves names itself.
	direct, proxied http.RoundTripper
	proxy           func(*http.Request) (*url.URL, error)
	rules           reach
}

func (t elsewhere) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.rules.checkName(req.URL.Hostname()); err != nil {
		return nil, err
	}
	if proxy, err := t.proxy(req); err == nil && proxy != nil {
		return t.proxied.RoundTrip(req)
	}
	return t.direct.RoundTrip(req)
}

// reach says which addresses a redirect may lead to.
type reach struct {
	// loopback: the registry is on this machine's loopback itself, and its storage may be.
	loopback bool
}

// checkName refuses names that are addresses, or are known to stand for one.
func (r reach) checkName(name string) error {
	if address, err := netip.ParseAddr(name); err == nil {
		return r.check(address)
	}
	if name == "metadata.google.internal" || IsLoopback(name) && !r.loopback {
		return fmt.Errorf("%w: %s", errAddress, name)
	}
	return nil
}

// control is [net.Dialer.ControlContext].
func (r reach) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	dialled, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %w", errAddress, err)
	}
	return r.check(dialled.Addr())
}

func (r reach) check(address netip.Addr) error {
	address = embedded(address.Unmap().WithZone(""))
	switch {
	case address.IsLoopback() && r.loopback:
		return nil
	case address.IsLoopback(), address.IsUnspecified(), address.IsMulticast(),
		address.IsLinkLocalUnicast(), metadata(address):
		return fmt.Errorf("%w: %s", errAddress, address)
	default:
		return nil
	}
}

// embedded is the IPv4 address that an IPv6 address stands for where there is a translator (RFC 6052, 2.1)
// or a 6to4 relay (RFC 3056, 2), or that it is in the oldest notation of all (RFC 4291, 2.5.5.1); any other
// address stays.
func embedded(address netip.Addr) netip.Addr {
	if !address.Is6() {
		return address
	}
	b := address.As16()
	for prefix, at := range map[netip.Prefix]int{
		netip.MustParsePrefix("64:ff9b::/96"): 12,
		netip.MustParsePrefix("2002::/16"):    2,
		netip.MustParsePrefix("::/96"):        12,
	} {
		if prefix.Contains(address) && !address.IsLoopback() && !address.IsUnspecified() {
			return netip.AddrFrom4([4]byte(b[at : at+4]))
		}
	}
	return address
}

// metadata reports whether a cloud tells its machines their secrets at this address, beside the link-local
// ones, or whether it means this host (RFC 1122, 3.2.1.3).
func metadata(address netip.Addr) bool {
	for _, prefix := range []string{
		"0.0.0.0/8", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32", "255.255.255.255/32",
		"fd00:ec2::/32", "fd20:ce::254/128", "fd00:42::42/128",
	} {
		if netip.MustParsePrefix(prefix).Contains(address) {
			return true
		}
	}
	return false
}

// guarded looks at every address before it is dialled.
func guarded(rules reach) *net.Dialer {
	return &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive, ControlContext: rules.control}
}

// newElsewhere makes a transport like the base one, for where the registry sends downloads.
func newElsewhere(base *http.Transport, dial dialer, rules reach, limit time.Duration) *http.Transport {
	direct := base.Clone()
	direct.Proxy = nil
	if dial == nil {
		dial = guarded(rules).DialContext
	}
	direct.DialContext = watch(dial, limit)
	return direct
}
