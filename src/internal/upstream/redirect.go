// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

const maxRedirects = 5

// ErrRedirect is the error for a redirect that is not followed.
var ErrRedirect = errors.New("redirect not followed")

// redirect follows the redirects of downloads to object storage, because clients often cannot reach the storage, and must not
// see the upstream. The credential stays behind unless the target is exactly the registry again: not another port, not a
// subdomain, where net/http's own client would send it (quirk D1).
type redirect struct {
	registry     *Registry
	credentialed http.RoundTripper
	anonymous    http.RoundTripper
}

func (t redirect) RoundTrip(req *http.Request) (*http.Response, error) {
	reads := req.Method == http.MethodGet || req.Method == http.MethodHead
	for range maxRedirects + 1 {
		resp, err := t.pick(req.URL).RoundTrip(req)
		if err != nil || !isRedirect(resp.StatusCode) || !reads || t.registry.passBounce {
			return resp, err
		}
		drain(resp)
		target, err := req.URL.Parse(resp.Header.Get("Location"))
		if err != nil || resp.Header.Get("Location") == "" || target.Scheme != "https" && target.Scheme != "http" {
			return nil, fmt.Errorf("%w: %s names no usable Location", ErrRedirect, req.URL.Host)
		}
		req = follow(req, target)
	}
	return nil, fmt.Errorf("%w: more than %d in a row from %s", ErrRedirect, maxRedirects, t.registry.api)
}

// pick decides who carries a request: only the registry itself, by scheme, host and port, sees the credential.
func (t redirect) pick(u *url.URL) http.RoundTripper {
	if u.Host == t.registry.api && u.Scheme == t.registry.greeting.scheme() {
		return t.credentialed
	}
	return t.anonymous
}

func follow(req *http.Request, target *url.URL) *http.Request {
	next := req.Clone(req.Context())
	next.URL, next.Host = target, ""
	next.Header.Del("Authorization")
	return next
}

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	default:
		return false
	}
}
