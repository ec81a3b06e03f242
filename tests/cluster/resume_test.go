// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// patience is how long a client goes on trying while nothing gets better.
const patience = time.Minute

// push uploads one blob as a careful client does: what is cut is asked for and continued; what a client may
// try again is tried again; everything else is the push's end.
func (p *pushes) push(ctx context.Context, user *throughAPIServer, c content, digest string) error {
	location, err := p.begin(ctx, user)
	if err != nil {
		return err
	}
	offset := int64(0)
	for offset < c.size {
		header := http.Header{"Content-Type": {"application/octet-stream"}}
		if offset > 0 {
			header.Set("Content-Range", fmt.Sprintf("%d-%d", offset, c.size-1))
		}
		// The type hides the length: the body is sent chunked, as the published client's is.
		got, err := user.do(ctx, http.MethodPatch, location, io.MultiReader(c.from(offset)), header)
		if err == nil && got.status == http.StatusAccepted {
			location = got.header.Get("Location")
			break
		}
		if err := p.again(ctx, "PATCH", got, err, http.StatusRequestedRangeNotSatisfiable); err != nil {
			return err
		}
		before := offset
		if location, offset, err = p.status(ctx, user, location); err != nil {
			return err
		}
		if offset > before {
			p.mu.Lock()
			p.continued++
			p.mu.Unlock()
		}
	}
	return p.finish(ctx, user, location, digest)
}

func (p *pushes) begin(ctx context.Context, user *throughAPIServer) (string, error) {
	got, err := p.persist(ctx, user, http.MethodPost, user.way+"/v2/source/blobs/uploads/", http.StatusAccepted)
	return got.header.Get("Location"), err
}

// status asks where an upload stands.
func (p *pushes) status(ctx context.Context, user *throughAPIServer, location string) (string, int64, error) {
	got, err := p.persist(ctx, user, http.MethodGet, location, http.StatusNoContent)
	if err != nil {
		return "", 0, err
	}
	_, last, _ := strings.Cut(got.header.Get("Range"), "-")
	n, err := strconv.ParseInt(last, 10, 64)
	if err != nil {
		return "", 0, fmt.Errorf("the status of an upload has the Range %q", got.header.Get("Range"))
	}
	if n > 0 { // 0-0 stands for nothing (quirk U6)
		n++
	}
	if next := got.header.Get("Location"); next != "" {
		location = next
	}
	return location, n, nil
}

// finish closes the upload. When the answer was lost the blob may be there all the same.
func (p *pushes) finish(ctx context.Context, user *throughAPIServer, location, digest string) error {
	for deadline := time.Now().Add(patience); ; {
		got, err := user.do(ctx, http.MethodPut, location+"?digest="+url.QueryEscape(digest), nil, nil)
		if err == nil && got.status == http.StatusCreated {
			return nil
		}
		if err := p.again(ctx, "PUT", got, err, http.StatusNotFound); err != nil {
			return fmt.Errorf("finish the upload: %w", err)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("finish the upload: still status %d after %s: %s", got.status, patience, got.body)
		}
		if head, err := p.persist(ctx, user, http.MethodHead, user.way+"/v2/source/blobs/"+digest, http.StatusOK, http.StatusNotFound); err != nil || head.status == http.StatusOK {
			return err
		}
	}
}

// persist repeats a request without a body until it has one of the statuses.
func (p *pushes) persist(ctx context.Context, user *throughAPIServer, method, path string, statuses ...int) (answer, error) {
	for deadline := time.Now().Add(patience); ; {
		got, err := user.do(ctx, method, path, nil, nil)
		if err == nil {
			for _, status := range statuses {
				if got.status == status {
					return got, nil
				}
			}
		}
		if err := p.again(ctx, method, got, err); err != nil {
			return got, err
		}
		if time.Now().After(deadline) {
			return got, fmt.Errorf("%s: still status %d after %s: %s", method, got.status, patience, got.body)
		}
	}
}

// pushed reports whether something has been.
func (p *pushes) pushed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.done) > 0
}

// again waits a moment before a repetition, and returns an error when there must be none: the answer was not
// one that a client may repeat a request after.
func (p *pushes) again(ctx context.Context, method string, got answer, err error, more ...int) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	reason := fmt.Sprintf("%s %d", method, got.status)
	if err != nil {
		reason = method + " connection"
	} else {
		// An API server that starts has not read all RBAC yet, and forbids what was allowed before. To HEAD it says
		// no reason.
		if p.pushed() && got.status == http.StatusForbidden && (method == http.MethodHead || strings.Contains(got.body, `"reason":"Forbidden"`)) {
			more = append(more, http.StatusForbidden)
		}
		retryable := append([]int{http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}, more...)
		if !slices.Contains(retryable, got.status) {
			return fmt.Errorf("%s: status %d, which is not to be repeated: %s", method, got.status, got.body)
		}
	}
	p.mu.Lock()
	p.repeats = append(p.repeats, reason)
	p.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(250 * time.Millisecond):
		return nil
	}
}
