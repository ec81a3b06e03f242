// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// RoundTrip implements [http.RoundTripper]. It sends the request to the registry, by way of what makes up for
// registries that cannot do what the client asks.
func (x *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	// ReverseProxy's own context passes informational answers (1xx) on, with whatever the registry puts into
	// them.
	resp, err := x.send(req.WithContext(x.ctx))
	x.entry.StopReading()
	if err != nil {
		return nil, err
	}
	// Trailers are written to the response that was read, and stay there: only a copy without any goes on.
	copied := *resp
	copied.Trailer = nil
	return &copied, nil
}

func (x *exchange) send(req *http.Request) (*http.Response, error) {
	switch {
	case x.route.Kind == oci.UploadStart:
		return x.mountOrStart(req)
	case x.route.Kind == oci.Upload && req.Method == http.MethodPatch:
		return x.chunkOrStream(req)
	case x.route.Kind == oci.Upload && req.Method == http.MethodPut:
		resp, err := x.finishAndConfirm(req)
		if err == nil && resp.StatusCode == http.StatusRequestedRangeNotSatisfiable {
			x.stands = x.ask(req.Context())
		}
		return resp, err
	case x.route.Kind == oci.Manifest && (req.Method == http.MethodGet || req.Method == http.MethodHead):
		return x.withDigest(req)
	default:
		return x.roundTrip(req)
	}
}

// mountOrStart starts a plain upload when a mount is refused, for whatever reason: some registries fail on a
// mount without "from", and on tokens for two repositories (quirks U7 and A3).
func (x *exchange) mountOrStart(req *http.Request) (*http.Response, error) {
	resp, err := x.target.Registry.RoundTrip(req)
	if !strings.Contains(req.URL.RawQuery, "mount=") || err == nil && resp.StatusCode < 400 {
		return resp, err
	}
	_, silent := errors.AsType[*upstream.Silence](err)
	again, ok := upstream.RepeatBody(req)
	if !ok || silent || req.Context().Err() != nil {
		return resp, err
	}
	if err == nil {
		discard(resp)
	}
	x.call.Scopes = x.call.Scopes[:1]
	again = again.WithContext(upstream.WithCall(again.Context(), x.call))
	again.URL.RawQuery = x.algorithm.Encode()
	return x.target.Registry.RoundTrip(again)
}

// finishAndConfirm looks for the blob when finishing an upload without a body fails in a way that leaves open
// whether it was finished: ECR answers 500 at times (quirk U2), and a lost answer makes the repetition fail.
// If the blob is there, the upload was finished.
func (x *exchange) finishAndConfirm(req *http.Request) (*http.Response, error) {
	resp, err := x.target.Registry.RoundTrip(req)
	doubtful := err != nil || resp.StatusCode >= 500 || resp.StatusCode == http.StatusNotFound
	if !doubtful || req.Body != nil && req.Body != http.NoBody || req.Context().Err() != nil {
		return resp, err
	}
	call := x.call
	call.Download, call.Commits = x.target.Download, false
	look := req.Clone(upstream.WithCall(req.Context(), call))
	look.Method, look.Header = http.MethodHead, http.Header{}
	look.URL = x.address.ResolveReference(&url.URL{Path: "/v2/" + x.target.Repository + "/blobs/" + x.digest})
	found, lookErr := x.target.Registry.RoundTrip(look)
	if lookErr != nil || found.StatusCode != http.StatusOK {
		if lookErr == nil {
			discard(found)
		}
		return resp, err
	}
	if err == nil {
		discard(resp)
	}
	found.StatusCode = http.StatusCreated
	found.Header = http.Header{}
	found.ContentLength = 0
	found.Body = http.NoBody
	return found, nil
}

func discard(resp *http.Response) { _ = resp.Body.Close() }
