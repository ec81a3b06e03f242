// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// transport sends an exchange to its registry, by way of what makes up for registries that cannot do what the client asks.
type transport struct{}

func (transport) RoundTrip(req *http.Request) (*http.Response, error) {
	x := exchangeOf(req.Context())
	resp, err := x.send(req)
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
	registry := x.target.Registry
	switch {
	case x.route.Kind == oci.UploadStart:
		return mountOrStart(registry, x, req)
	case x.route.Kind == oci.Upload && req.Method == http.MethodPatch:
		return chunkOrStream(registry, x, req)
	case x.route.Kind == oci.Upload && req.Method == http.MethodPut:
		return finishAndConfirm(registry, x, req)
	case x.route.Kind == oci.Manifest && (req.Method == http.MethodGet || req.Method == http.MethodHead):
		return withDigest(registry, x, req)
	default:
		return registry.RoundTrip(req)
	}
}

// mountOrStart starts a plain upload when a mount is refused, for whatever reason: some registries fail on a mount without
// "from", and on tokens for two repositories (quirks U7 and A3).
func mountOrStart(next http.RoundTripper, x *exchange, req *http.Request) (*http.Response, error) {
	resp, err := next.RoundTrip(req)
	if !strings.Contains(req.URL.RawQuery, "mount=") || err == nil && resp.StatusCode < 400 {
		return resp, err
	}
	again, ok := upstream.RepeatBody(req)
	if !ok || req.Context().Err() != nil {
		return resp, err
	}
	if err == nil {
		discard(resp)
	}
	x.call.Scopes = x.call.Scopes[:1]
	again = again.WithContext(upstream.WithCall(again.Context(), x.call))
	again.URL.RawQuery = ""
	return next.RoundTrip(again)
}

// chunkOrStream sends a first chunk that is refused before its body is asked for as a stream, that is without Content-Range:
// some registries take no chunks, or none of its size, but take any stream (quirks U3 and U4). A later chunk cannot be mended
// so: a request that stays open between a client's chunks would live in one replica only.
func chunkOrStream(next http.RoundTripper, x *exchange, req *http.Request) (*http.Response, error) {
	resp, err := next.RoundTrip(req)
	if err != nil || !refusesChunk(resp.StatusCode) {
		return resp, err
	}
	if start, chunked := chunkStart(req.Header, x); !chunked || start != 0 {
		return resp, nil
	}
	again, ok := upstream.RepeatBody(req)
	if !ok {
		return resp, nil
	}
	discard(resp)
	again.Header.Del("Content-Range")
	return next.RoundTrip(again)
}

// refusesChunk reports whether a status can mean that a registry does not take a chunk as such.
func refusesChunk(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge, http.StatusRequestedRangeNotSatisfiable, http.StatusNotImplemented:
		return true
	default:
		return false
	}
}

// finishAndConfirm looks for the blob when finishing an upload without a body fails in a way that leaves open whether it was
// finished: ECR answers 500 at times (quirk U2), and a lost answer makes the repetition fail. If the blob is there, the upload was
// finished.
func finishAndConfirm(next http.RoundTripper, x *exchange, req *http.Request) (*http.Response, error) {
	resp, err := next.RoundTrip(req)
	doubtful := err != nil || resp.StatusCode >= 500 || resp.StatusCode == http.StatusNotFound
	if !doubtful || req.Body != nil && req.Body != http.NoBody || req.Context().Err() != nil {
		return resp, err
	}
	look := req.Clone(req.Context())
	look.Method, look.Header = http.MethodHead, http.Header{}
	look.URL = x.address.ResolveReference(&url.URL{Path: "/v2/" + x.target.Repository + "/blobs/" + x.digest})
	found, lookErr := next.RoundTrip(look)
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
