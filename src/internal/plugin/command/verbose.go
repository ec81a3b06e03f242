// SPDX-License-Identifier: Apache-2.0

package command

import (
	"net/http"
	"regexp"
	"time"
)

// verboseRequests is the level of -v from which each request is shown, as in kubectl.
const verboseRequests = 6

// verbose shows each request when -v asks for it: what was asked, what the answer was, how long it took. It
// shows neither queries nor headers nor upload sessions, in which secrets travel.
func (a *app) verbose(next http.RoundTripper) http.RoundTripper {
	if a.verbosity < verboseRequests {
		return next
	}
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		started := time.Now()
		resp, err := next.RoundTrip(req)
		result := "failed"
		if err == nil {
			result = resp.Status
		}
		path := regexp.MustCompile(`(/blobs/uploads/).+`).ReplaceAllString(req.URL.Path, "$1...")
		a.say("%s %s://%s%s %s in %d milliseconds",
			req.Method, req.URL.Scheme, req.URL.Host, path, result, time.Since(started).Milliseconds())
		return resp, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
