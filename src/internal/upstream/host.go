// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"net/netip"
	"net/url"
	"strings"
)

// DockerHub is the name by which references and docker configs know Docker Hub.
const DockerHub = "index.docker.io"

// Canonical returns the one name of a registry that has several (quirk A9); others are only put in lower
// case.
func Canonical(host string) string {
	host = strings.ToLower(host)
	switch host {
	case "docker.io", DockerHub, "registry-1.docker.io":
		return DockerHub
	default:
		return host
	}
}

// apiHost is where a registry's distribution API is.
func apiHost(host string) string {
	if host == DockerHub {
		return "registry-1.docker.io"
	}
	return host
}

// hostname is a host without its port, in lower case.
func hostname(host string) string {
	return strings.ToLower((&url.URL{Host: host}).Hostname())
}

// IsLoopback reports whether a host (with or without port) can only be this machine.
func IsLoopback(host string) bool {
	name := hostname(host)
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	address, err := netip.ParseAddr(name)
	return err == nil && address.Unmap().IsLoopback()
}

// isECR reports whether a registry is Amazon's, private or public.
func isECR(host string) bool {
	name := hostname(host)
	return strings.Contains(name, ".dkr.ecr.") || strings.Contains(name, ".dkr-ecr.") || name == "public.ecr.aws"
}

// MinChunk is the smallest chunk, but the last, that a registry is known to take, in bytes; 0 where nothing
// is known. ECR has a limit and does not announce it (quirk U2).
func (r *Registry) MinChunk() int64 {
	if isECR(r.host) {
		return 5 << 20
	}
	return 0
}

// ClosesOnMissingRepository reports whether the registry is known to break the connection when a repository
// does not exist, instead of saying so (quirk A7).
func (r *Registry) ClosesOnMissingRepository() bool { return isECR(r.host) }
