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

// redirect follows the redirects of blobs to object storage, because clients often cannot reach the
// storage, and must not see the upstream. Everything else is followed within the registry alone: no honest
// registry keeps it elsewhere.
//
// The credential stays behind unless the target is exactly the registry again: not another port, not a
// subdomain, where net/http's own client would send it (quirk D1). Once a chain has left the registry it is
// gone for good: whoever was asked in between chose the path.
type redirect struct {
	registry     *Registry
	credentialed http.RoundTripper
	anonymous    http.RoundTripper
	elsewhere    http.RoundTripper
}

func (t redirect) RoundTrip(req *http.Request) (*http.Response, error) {
	reads := req.Method == http.MethodGet || req.Method == http.MethodHead
	download := callOf(req.Context()).Download
	left := false
	for range maxRedirects + 1 {
		left = left || !t.registry.isOrigin(req.URL)
		resp, err := t.pick(req.URL, left).RoundTrip(req)
		if err != nil {
			return nil, refusedAddress(err)
		}
		if !isRedirect(resp.StatusCode) || !reads || download && t.registry.passBounce {
			return resp, nil
		}
		target, problem := target(req.URL, resp)
		if within := problem == nil && t.registry.isOrigin(target); !download && !within {
			return resp, nil
		}
		drain(resp)
		if problem != nil {
			return nil, problem
		}
		req = follow(req, target)
	}
	return nil, fmt.Errorf("%w: more than %d in a row from %s", ErrRedirect, maxRedirects, t.registry.api)
}

// pick decides who carries a request: only the registry itself, by scheme, host and port, sees the
// credential.
func (t redirect) pick(u *url.URL, left bool) http.RoundTripper {
	switch {
	case !left:
		return t.credentialed
	case t.registry.isOrigin(u):
		return t.anonymous
	default:
		return t.elsewhere
	}
}

// isOrigin reports whether a URL is on exactly the registry.
func (r *Registry) isOrigin(u *url.URL) bool {
	return u.Host == r.api && u.Scheme == r.greeting.scheme()
}

// target reads where a redirect leads. From https none leads to plain HTTP.
func target(from *url.URL, resp *http.Response) (*url.URL, error) {
	location := resp.Header.Get("Location")
	to, err := from.Parse(location)
	switch {
	case err != nil || location == "" || to.Host == "" || to.Scheme != "https" && to.Scheme != "http":
		return nil, fmt.Errorf("%w: %s names no usable Location", ErrRedirect, from.Host)
	case from.Scheme == "https" && to.Scheme == "http":
		return nil, fmt.Errorf("%w: %s leads from https to http://%s", ErrRedirect, from.Host, to.Host)
	default:
		return to, nil
	}
}

// refusedAddress makes a refused address an [ErrRedirect].
func refusedAddress(err error) error {
	if errors.Is(err, errAddress) {
		return fmt.Errorf("%w: %w", ErrRedirect, err)
	}
	return err
}

func follow(req *http.Request, target *url.URL) *http.Request {
	next := req.Clone(req.Context())
	next.URL, next.Host = target, ""
	next.Header.Del("Authorization")
	return next
}

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	default:
		return false
	}
}
