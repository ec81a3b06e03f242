// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// rest is what remains of a blob, straight from the registry.
type rest struct {
	view    *View
	request *http.Request
	body    io.ReadCloser
	at      int64
}

func (r *rest) begun() bool { return r.body != nil }

func (r *rest) readAt(p []byte, at int64) (int, error) {
	if r.body != nil && r.at != at {
		r.close()
	}
	if r.body == nil {
		body, err := r.view.from(r.request, at)
		if err != nil {
			return 0, err
		}
		r.body, r.at = body, at
	}
	n, err := r.body.Read(p)
	r.at += int64(n)
	return n, err
}

func (r *rest) close() {
	if r.body != nil {
		_ = r.body.Close()
		r.body = nil
	}
}

// errNoRest is for a registry that may send the rest of a blob another time.
var errNoRest = errors.New("the registry did not send the rest")

// from asks for a blob from a byte on. What is worth another attempt is [errNoRest].
func (v *View) from(req *http.Request, at int64) (io.ReadCloser, error) {
	req = req.Clone(req.Context())
	if at > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", at))
	}
	resp, err := v.registry.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("%w from byte %d: %w", errNoRest, at, err)
	}
	skip := int64(-1)
	switch resp.StatusCode {
	case http.StatusPartialContent:
		if from := rangeStart(resp); from >= 0 {
			skip = at - from
		}
	case http.StatusOK:
		skip = at
	}
	switch {
	case skip >= 0: // some answer with more than was asked for (RFC 9110, section 14.2)
		if _, err = io.CopyN(io.Discard, resp.Body, skip); err == nil {
			return resp.Body, nil
		}
		err = fmt.Errorf("%w from byte %d: %w", errNoRest, at, err)
	case resp.StatusCode >= http.StatusInternalServerError || resp.StatusCode == http.StatusTooManyRequests:
		err = fmt.Errorf("%w from byte %d: it answered %d", errNoRest, at, resp.StatusCode)
	default:
		err = fmt.Errorf("ask for a blob from byte %d: the registry answered %d", at, resp.StatusCode)
	}
	_ = resp.Body.Close()
	return nil, err
}

// rangeStart is where partial content begins (RFC 9110, section 14.4); -1: it does not say.
func rangeStart(resp *http.Response) int64 {
	said, found := strings.CutPrefix(resp.Header.Get("Content-Range"), "bytes ")
	first, _, _ := strings.Cut(said, "-")
	from, err := strconv.ParseInt(first, 10, 64)
	if err != nil || !found {
		return -1
	}
	return from
}
