// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// ExternalURLs are the addresses that clients reach the side by. The first one stands for every name that is
// not among them.
type ExternalURLs []externalURL

// externalURL is a scheme, "https" or "http", and a host, with its port where it has one.
type externalURL struct{ scheme, host string }

// ParseExternalURLs reads URLs that are separated by commas.
func ParseExternalURLs(list string) (ExternalURLs, error) {
	var all ExternalURLs
	valid := newHosts()
	for each := range strings.SplitSeq(list, ",") {
		each = strings.TrimSpace(each)
		if each == "" {
			continue
		}
		u, err := url.Parse(each)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || !valid.accepts(u.Host) ||
			strings.TrimSuffix(each, "/") != u.Scheme+"://"+u.Host {
			return nil, fmt.Errorf("%q is not a scheme and a host: write https://images.example.com, with a port where "+
				"it is not 443, several with commas between", each)
		}
		all = append(all, externalURL{u.Scheme, u.Host})
	}
	return all, nil
}

// Plain reports whether one of them has license ids sent in plain text.
func (e ExternalURLs) Plain() bool {
	return slices.ContainsFunc(e, func(u externalURL) bool { return u.scheme == "http" })
}

// of returns the one that a client means by a host, spelt as the client does.
func (e ExternalURLs) of(host string) externalURL {
	for _, u := range e {
		if u.means(host) {
			return externalURL{u.scheme, host}
		}
	}
	return e[0]
}

func (u externalURL) means(host string) bool {
	port := map[string]string{"https": ":443", "http": ":80"}[u.scheme]
	return strings.EqualFold(strings.TrimSuffix(host, port), strings.TrimSuffix(u.host, port))
}

// realm returns where a client gets its token, with a license id: by TLS, unless the vendor said otherwise or
// the id does not leave the machine. The name is the client's own, so that any domain works (quirk A11).
// Where the vendor has listed names, it is one of them, because what ends TLS in front may have written
// another. False: there is no name that could be one.
func (v *visit) realm(r *http.Request) (externalURL, bool) {
	if len(v.cfg.External) == 0 && !v.hosts.accepts(r.Host) {
		return externalURL{}, false
	}
	at := externalURL{"https", r.Host}
	switch {
	case len(v.cfg.External) > 0:
		at = v.cfg.External.of(r.Host)
	case v.origin.Address.IsLoopback() && isLoopback(r.Host):
		at.scheme = "http"
	}
	if v.origin.TLS {
		at.scheme = "https"
	}
	return at, true
}

// isLoopback reports whether a host, with or without a port, is a client's own machine.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || err == nil && address.Unmap().IsLoopback()
}
