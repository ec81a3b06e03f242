// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	attempts = 4
	// maxRetryAfter is how long a registry may make us wait, in place of our own delay.
	maxRetryAfter = 5 * time.Second
	retryDelay    = 200 * time.Millisecond
	// drainLimit is how much of an unwanted answer is read so that its connection can be used again, in
	// bytes.
	drainLimit = 64 << 10
)

// retry repeats what can be repeated. A request without a body is, on connection errors and on 502, 503 and
// 504. One with a body is only when the connection broke before the body was asked for; a body that has
// begun is never replayed.
type retry struct {
	next  http.RoundTripper
	delay time.Duration
}

func (t retry) RoundTrip(req *http.Request) (*http.Response, error) {
	delays := backoff.NewExponentialBackOff()
	delays.InitialInterval = t.delay
	for attempt := 1; ; attempt++ {
		resp, err := t.next.RoundTrip(req)
		if attempt == attempts || !worthRetrying(req, resp, err) {
			return resp, err
		}
		again, ok := RepeatBody(req)
		if !ok {
			return resp, err
		}
		wait := delays.NextBackOff()
		if resp != nil {
			wait = max(wait, retryAfter(resp))
			drain(resp)
		}
		if err := Sleep(req.Context(), wait); err != nil {
			return nil, err
		}
		req = again
	}
}

func worthRetrying(req *http.Request, resp *http.Response, err error) bool {
	if req.Context().Err() != nil {
		return false
	}
	if err != nil {
		_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
		_, silent := errors.AsType[*Silence](err)
		return !untrusted && !silent && !speaksPlainHTTP(err) && !errors.Is(err, errAddress) && !errors.Is(err, errInformational)
	}
	if req.Body != nil && req.Body != http.NoBody {
		return false
	}
	switch resp.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return false
	}
}

func retryAfter(resp *http.Response) time.Duration {
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxRetryAfter)
}

// Sleep waits, and returns the context's error if that ends before.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// drain ends an answer that nobody wants.
func drain(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, drainLimit)
	_ = resp.Body.Close()
}
