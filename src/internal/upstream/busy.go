// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
)

// Busy is the error when the registry, or its token server, asks to be left alone for a while (429 or 503),
// or when too many requests wait for it already.
type Busy struct {
	// Status that the client is to be told.
	Status int
	// RetryAfter is a value of the header of that name; empty when nobody said how long.
	RetryAfter string
	// cause names the host.
	cause string
}

func (e *Busy) Error() string {
	return fmt.Sprintf("%s: %d %s", e.cause, e.Status, http.StatusText(e.Status))
}

// busy returns the error for an answer that asks for patience; nil for any other.
func busy(resp *http.Response, cause string) error {
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return &Busy{Status: resp.StatusCode, RetryAfter: delay(resp.Header.Get("Retry-After")), cause: cause}
	default:
		return nil
	}
}

// delay is a Retry-After that means something (RFC 9110, section 10.2.3); empty for anything else.
func delay(value string) string {
	if _, err := strconv.ParseUint(value, 10, 31); err == nil {
		return value
	}
	if _, err := http.ParseTime(value); err == nil {
		return value
	}
	return ""
}

// MaxWaiting is how many requests without a body may wait for one registry at a time. A registry that
// answers in a tenth of a second serves thousands a second so; one that does not answer holds no more of a
// listener's connections than these.
const MaxWaiting = 256

// gate refuses requests while too many wait for the registry already, so that it holds up nobody else.
type gate struct {
	registry *Registry
	next     http.RoundTripper
	limit    int64
	waiting  *atomic.Int64
}

func (t gate) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil && req.Body != http.NoBody {
		return t.next.RoundTrip(req) // it may wait for its client
	}
	if t.waiting.Add(1) > t.limit {
		t.waiting.Add(-1)
		return nil, &Busy{
			Status: http.StatusServiceUnavailable, RetryAfter: "5",
			cause: fmt.Sprintf("%d requests wait for %s", t.limit, t.registry.api),
		}
	}
	defer t.waiting.Add(-1)
	return t.next.RoundTrip(req)
}
