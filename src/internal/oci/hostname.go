// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// IsHost accepts a DNS name, an IPv4 address or an IPv6 address in brackets, with or without a port.
func IsHost(host string) bool {
	name := host
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		var port string
		name, port = host[:i], host[i+1:]
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strings.Trim(port, "0123456789") != "" {
			return false
		}
	}
	if inner, bracketed := strings.CutPrefix(name, "["); bracketed {
		address, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return err == nil && address.Is6() && address.Zone() == "" && strings.HasSuffix(name, "]")
	}
	return !slices.ContainsFunc(strings.Split(name, "."), func(label string) bool { return !isLabel(label) })
}

// isLabel accepts letters, digits and hyphens, with no hyphen at either end.
func isLabel(s string) bool {
	const alphanumerics = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	return s != "" && strings.Trim(s, alphanumerics+"-") == "" && s[0] != '-' && s[len(s)-1] != '-'
}
