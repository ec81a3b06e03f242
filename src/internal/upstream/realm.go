// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// ErrRealm is the error for a token realm that must not be shown the credential.
var ErrRealm = errors.New("token realm does not belong to the registry")

// foreignRealms are the realms of well-known registries under another registrable domain than the registry's own.
func foreignRealms(registry string) []string {
	switch registry {
	case DockerHub, "registry.hub.docker.com":
		return []string{"auth.docker.io"}
	case "nvcr.io":
		return []string{"authn.nvidia.com"}
	default:
		return nil
	}
}

// pin is a realm as a registry of a scheme named it, and as it may be asked.
type pin struct{ named, scheme, realm string }

// pinRealm reads the realm of a challenge and refuses it unless it belongs to the registry: an upstream that could name any
// realm would receive the password (quirk A1; CVE-2026-33540, CVE-2026-48978). Every request has the same, so the last is remembered.
func (r *Registry) pinRealm(named string) (string, error) {
	scheme := r.greeting.scheme()
	if last := r.pinned.Load(); last != nil && last.named == named && last.scheme == scheme {
		return last.realm, nil
	}
	u, err := url.Parse(named)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return "", fmt.Errorf("%w: it is not a plain URL", ErrRealm)
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && scheme == "http" && hostname(u.Host) == hostname(r.api):
	default:
		return "", fmt.Errorf("%w: %s is not https", ErrRealm, u.Host)
	}
	if !belongs(hostname(u.Host), r.host, hostname(r.api)) {
		return "", fmt.Errorf("%w: %s is another site than %s", ErrRealm, u.Host, r.api)
	}
	pinned := &pin{named, scheme, u.String()}
	r.pinned.Store(pinned)
	return pinned.realm, nil
}

func belongs(realm, registry, api string) bool {
	if realm == api {
		return true
	}
	for _, known := range foreignRealms(registry) {
		if realm == known {
			return true
		}
	}
	mine, theirs := registrable(api), registrable(realm)
	return mine != "" && mine == theirs
}

// registrable is the part of a name that somebody has registered, such as example.co.uk. It is empty for addresses and for
// names below no known suffix: in cluster.local or a company's own top level, two names need not have one owner.
func registrable(name string) string {
	if net.ParseIP(name) != nil {
		return ""
	}
	suffix, icann := publicsuffix.PublicSuffix(name)
	if !icann && !strings.Contains(suffix, ".") {
		return ""
	}
	domain, err := publicsuffix.EffectiveTLDPlusOne(name)
	if err != nil {
		return ""
	}
	return domain
}
