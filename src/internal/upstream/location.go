// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"errors"
	"net/url"
	"strings"
)

// ErrLocation is the error for the place of an upload that cannot be used, and ErrNoLocation for none at all.
var (
	ErrLocation   = errors.New("the upload's location cannot be used")
	ErrNoLocation = errors.New("the answer has no location of an upload")
)

// Location reads the Location of an upload, which may be relative, without a scheme, or have the wrong scheme or port (quirk U1).
// Only its path and query are meant to be used, as they are; a Location on another host is an error, because the credential is
// for this one. Errors do not quote it: it is a secret of its kind.
func (r *Registry) Location(base *url.URL, location string) (*url.URL, error) {
	if location == "" {
		return nil, ErrNoLocation
	}
	if host, _, isPath := strings.Cut(location, "/"); isPath && r.isBareHost(host) {
		location = "//" + location
	}
	u, err := base.Parse(location)
	if err != nil || !r.IsOwn(u) || !strings.HasPrefix(u.EscapedPath(), "/") {
		return nil, ErrLocation
	}
	return u, nil
}

// isBareHost reports whether the first part of a Location is this registry's name without a scheme before it.
func (r *Registry) isBareHost(part string) bool {
	return strings.ContainsAny(part, ".:") && !strings.Contains(part, "?") && !strings.HasSuffix(part, ":") && r.IsOwn(&url.URL{Host: part})
}
