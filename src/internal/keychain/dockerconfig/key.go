// SPDX-License-Identifier: Apache-2.0

package dockerconfig

import (
	"cmp"
	"path"
	"strings"
)

// dockerHub stands for all names of Docker Hub's registry (quirk A9).
const (
	dockerHub    = "docker.io"
	dockerHubKey = "https://index.docker.io/v1/" // what docker itself asks a credential helper for
)

// key is a registry as the config names it, without what does not matter: "HTTPS://Registry.example.com/v1/"
// is {"registry.example.com", ""}.
type key struct {
	host string // lower case, may have a port, may be a pattern such as *.example.com
	path string // without slashes at its ends
}

func parseKey(s string) key {
	if scheme, rest, ok := strings.Cut(s, "://"); ok && (strings.EqualFold(scheme, "https") || strings.EqualFold(scheme, "http")) {
		s = rest
	}
	host, rest, _ := strings.Cut(s, "/")
	host = host[strings.LastIndexByte(host, '@')+1:] // a user name in the key is no part of the host
	k := key{host: strings.ToLower(host), path: strings.Trim(rest, "/")}
	if k.path == "v1" || k.path == "v2" {
		k.path = ""
	}
	switch k.host {
	case "index.docker.io", "registry-1.docker.io":
		k.host = dockerHub
	}
	return k
}

// plainFirst orders the names that a config has for registries: of several with one meaning the first
// counts. That is docker's own name for Docker Hub, and the shortest one, without scheme and version, for any
// other registry.
func plainFirst(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == dockerHubKey:
		return -1
	case b == dockerHubKey:
		return 1
	}
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// serverName is how docker asks a helper for a host.
func serverName(host string) string {
	if parseKey(host).host == dockerHub {
		return dockerHubKey
	}
	return host
}

// String is the host, and the path if there is one.
func (k key) String() string {
	if k.path == "" {
		return k.host
	}
	return k.host + "/" + k.path
}

// matches reports whether the key is for the repository at the host; with repository "" only keys of whole
// hosts are.
func (k key) matches(host, repository string) bool {
	if k.path != "" && repository != k.path && !strings.HasPrefix(repository, k.path+"/") {
		return false
	}
	return k.host != "" && (k.host == host || matchHost(k.host, host))
}

// matchHost compares label by label, as the kubelet does: a star never reaches over a dot, and a port must be
// the same.
func matchHost(pattern, host string) bool {
	pattern, patternPort, _ := strings.Cut(pattern, ":")
	host, port, _ := strings.Cut(host, ":")
	patterns, labels := strings.Split(pattern, "."), strings.Split(host, ".")
	if patternPort != port || len(patterns) != len(labels) {
		return false
	}
	for i := range patterns {
		if ok, err := path.Match(patterns[i], labels[i]); err != nil || !ok {
			return false
		}
	}
	return true
}

func (k key) closerThan(other key) bool {
	if len(k.path) != len(other.path) {
		return len(k.path) > len(other.path)
	}
	return !k.pattern() && other.pattern()
}

func (k key) pattern() bool { return strings.ContainsAny(k.host, "*?[") }
