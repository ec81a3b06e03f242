// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// said is what a registry answered to a request that several may wait for.
type said struct {
	status int
	header http.Header
	body   []byte
	// size of the body in bytes; -1: not known.
	size int64
	// large: the body is longer than what is held, and everybody has to ask for himself.
	large bool
}

// ask asks the registry, once for all who ask the same, and waits for so long. It reports whether this was
// another's request.
func (v *View) ask(req *http.Request, key string, limit time.Duration) (now *said, shared bool, err error) {
	var own atomic.Bool
	ctx, cancel := context.WithTimeout(req.Context(), limit)
	defer cancel()
	now, err = v.cache.asked.Do(ctx, req.Method+" "+key, askLimit, func(ctx context.Context) (*said, error) {
		own.Store(true)
		resp, err := v.registry.RoundTrip(req.WithContext(ctx)) //nolint:bodyclose // hear closes it
		if err != nil {
			return nil, err
		}
		return hear(req.Method, resp)
	})
	return now, !own.Load(), err
}

// hear reads an answer to its end.
func hear(method string, resp *http.Response) (*said, error) {
	defer func() { _ = resp.Body.Close() }()
	now := &said{status: resp.StatusCode, header: resp.Header, size: resp.ContentLength}
	if method == http.MethodHead {
		return now, nil
	}
	var err error
	if now.body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody+1)); err != nil {
		return nil, fmt.Errorf("read the registry's answer: %w", err)
	}
	now.size, now.large = int64(len(now.body)), len(now.body) > maxBody
	if now.large {
		now.body = nil
	}
	return now, nil
}

func (s *said) response(req *http.Request) *http.Response {
	return &http.Response{
		Status: fmt.Sprintf("%d %s", s.status, http.StatusText(s.status)), StatusCode: s.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: s.header.Clone(), Request: req,
		ContentLength: s.size, Body: io.NopCloser(bytes.NewReader(s.body)),
	}
}
