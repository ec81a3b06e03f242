// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// ErrRealm is the error for a token realm that must not be shown the credential.
var ErrRealm = errors.New("token realm does not belong to the registry")

// RealmError is an [ErrRealm] that says what is wrong with the realm.
type RealmError struct {
	// Host is what Config.TokenRealms would have to list for the realm to be used; empty where nothing
	// would help.
	Host   string
	reason string
}

// Remedy says what the operator can do about it; setting is what Config.TokenRealms is called where he
// writes it. It names the host, so it is not for clients.
func (e *RealmError) Remedy(setting string) string {
	if e.Host == "" {
		return "the registry has to name its token server by a URL with https"
	}
	return "if " + e.Host + " is the registry's token server and may be shown the credential, " +
		"add it to " + setting
}

func (e *RealmError) Error() string { return ErrRealm.Error() + ": " + e.reason }

// Is reports whether the error is an [ErrRealm].
func (e *RealmError) Is(target error) bool { return target == ErrRealm }

// foreignRealms are the realms of well-known registries under another registrable domain than the
// registry's own.
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

// pinRealm reads the realm of a challenge and refuses it unless it belongs to the registry or is listed: an
// upstream that could name any realm would receive the password (quirk A1; CVE-2026-33540, CVE-2026-48978).
// Every request has the same, so the last is remembered.
func (r *Registry) pinRealm(named string) (string, error) {
	scheme := r.greeting.scheme()
	if last := r.pinned.Load(); last != nil && last.named == named && last.scheme == scheme {
		return last.realm, nil
	}
	u, err := url.Parse(named)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" ||
		u.Scheme != "https" && u.Scheme != "http" {
		return "", &RealmError{reason: "it is not a plain URL"}
	}
	own := hostname(u.Host) == hostname(r.api)
	if u.Scheme == "http" && (!own || scheme != "http") {
		if !own && !r.listed(secured(u)) {
			return "", &RealmError{Host: listedAs(secured(u)), reason: u.Host + " is not https"}
		}
		// The registry is behind a box that speaks TLS for it, and does not know so (quirk A13).
		u = secured(u)
		if own && u.Port() == "" {
			u.Host = r.api
		}
	}
	if !own && !r.listed(u) && !belongs(hostname(u.Host), r.host, hostname(r.api)) {
		return "", &RealmError{Host: listedAs(u), reason: u.Host + " is another site than " + r.api}
	}
	pinned := &pin{named, scheme, u.String()}
	r.pinned.Store(pinned)
	return pinned.realm, nil
}

// secured is the same place by https. A port that is said is kept, unless it is plain HTTP's own.
func secured(u *url.URL) *url.URL {
	s := *u
	if s.Scheme == "http" && s.Port() == "80" {
		s.Host = strings.TrimSuffix(s.Host, ":80")
	}
	s.Scheme = "https"
	return &s
}

// listed reports whether the operator lets this host of https be shown the credential.
func (r *Registry) listed(u *url.URL) bool {
	return u.Scheme == "https" && slices.ContainsFunc(r.tokenRealms, func(host string) bool {
		return listedAs(&url.URL{Host: host}) == listedAs(u)
	})
}

// listedAs is the host of a URL of https as a list of realms has it: in lower case, with a port that is not
// 443.
func listedAs(u *url.URL) string {
	return strings.TrimSuffix(strings.ToLower(u.Host), ":443")
}

// belongs reports whether a host is known to be the registry's token server.
func belongs(realm, registry, api string) bool {
	if slices.Contains(foreignRealms(registry), realm) {
		return true
	}
	mine, theirs := registrable(api), registrable(realm)
	return mine != "" && mine == theirs
}

// registrable is the part of a name that somebody has registered, such as example.co.uk. It is empty for
// addresses and for names below no known suffix: in cluster.local or a company's own top level, two names
// need not have one owner.
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
