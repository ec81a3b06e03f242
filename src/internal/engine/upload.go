// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/session"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// minChunk is the header by which a registry says how small a chunk may be (distribution-spec, "Pushing a
// blob in chunks").
const minChunk = "Oci-Chunk-Min-Length"

// uploadAnswer maps the answer to any step of an upload. Registries differ in the status with which they say
// yes (quirk U2), so this step decides what the client hears.
func (x *exchange) uploadAnswer(resp *http.Response, from http.Header) error {
	switch x.route.Method {
	case http.MethodPost:
		if resp.StatusCode == http.StatusCreated {
			return x.finished(resp)
		}
		return x.started(resp, from)
	case http.MethodPatch:
		return x.advanced(resp, from)
	case http.MethodPut:
		return x.finished(resp)
	case http.MethodGet:
		return x.reported(resp, from)
	default:
		empty(resp, http.StatusNoContent)
		return nil
	}
}

// empty makes an answer one without a body: what registries say in theirs is not part of the API.
func empty(resp *http.Response, status int) {
	discard(resp)
	resp.StatusCode, resp.Body, resp.ContentLength = status, http.NoBody, 0
	resp.Header.Del("Content-Type")
	resp.Header.Del("Content-Length")
	if status != http.StatusNoContent {
		resp.Header.Set("Content-Length", "0")
	}
}

func (x *exchange) started(resp *http.Response, from http.Header) error {
	location, err := x.sessionLocation(resp.Request.URL, from.Get("Location"))
	if err != nil {
		return oci.Errorf(oci.Unavailable, "the registry started an upload at a location that cannot be used").Because(err)
	}
	if smallest := x.target.Registry.MinChunk(); smallest > 0 && resp.Header.Get(minChunk) == "" {
		resp.Header.Set(minChunk, strconv.FormatInt(smallest, 10))
	}
	if err := x.accepted(resp, http.StatusAccepted, session.Record{Location: location}); err != nil {
		return err
	}
	if from.Get("Range") == "" { // the specification has none here (quirk U6)
		resp.Header.Del("Range")
	}
	return nil
}

// advanced answers for a chunk or stream that the registry has taken. How far the upload is, the proxy has
// counted: what registries say about it is sometimes about the chunk alone, off by one, or stuck (quirks U2
// and U6).
func (x *exchange) advanced(resp *http.Response, from http.Header) error {
	record := x.record
	if location, err := x.sessionLocation(resp.Request.URL, from.Get("Location")); err == nil {
		record.Location = location
	} else if !errors.Is(err, upstream.ErrNoLocation) {
		return oci.Errorf(oci.Unavailable, "the registry continues the upload at a location that cannot be used").Because(err)
	}
	first := record.Offset
	if chunk, ok := chunkOf(resp.Request); ok {
		first = chunk.first // where the registry put it, whatever the session knows: an answer may have been lost
	}
	said, _ := rangeEnd(from)
	return x.accepted(resp, http.StatusAccepted, record.Accepting(first, x.entry.Received(), said))
}

// reported answers how far an upload is. The registry knows best, but for what it was seen to be wrong about.
func (x *exchange) reported(resp *http.Response, from http.Header) error {
	record := x.record
	if location, err := x.sessionLocation(resp.Request.URL, from.Get("Location")); err == nil {
		record.Location = location
	}
	if said, ok := rangeEnd(from); ok {
		record = record.Reporting(said)
	}
	return x.accepted(resp, http.StatusNoContent, record)
}

// accepted answers the client with the session that continues from here.
func (x *exchange) accepted(resp *http.Response, status int, record session.Record) error {
	if err := x.seal(resp.Header, record); err != nil {
		return err
	}
	empty(resp, status)
	return nil
}

// seal writes the headers of a session: its sealed Location, and the Range that has arrived. Before the first
// byte that is "0-0", as every client has learnt from the reference implementation.
func (x *exchange) seal(header http.Header, record session.Record) error {
	record.Registry, record.Repository = x.target.Registry.Host(), x.target.Repository
	token, err := x.sessions.Seal(x.owner(), record)
	if err != nil {
		return err
	}
	header.Set("Location", x.target.Base+"/v2/"+x.route.Name+"/blobs/uploads/"+token)
	header.Set("Range", "0-"+strconv.FormatInt(max(record.Offset-1, 0), 10))
	return nil
}

// finished answers for a blob that is complete.
func (x *exchange) finished(resp *http.Response) error {
	if resp.Header.Get(contentDigest) == "" {
		resp.Header.Set(contentDigest, x.digest)
	}
	empty(resp, http.StatusCreated)
	resp.Header.Set("Location", x.target.Base+"/v2/"+x.route.Name+"/blobs/"+x.digest)
	return nil
}

// sessionLocation keeps path and query of an upload's Location as they are.
func (x *exchange) sessionLocation(base *url.URL, location string) (string, error) {
	u, err := x.target.Registry.Location(base, location)
	if err != nil {
		return "", err
	}
	if u.RawQuery == "" {
		return u.EscapedPath(), nil
	}
	return u.EscapedPath() + "?" + u.RawQuery, nil
}

// rangeEnd reads how many bytes a registry says it has: "0-99" and "bytes=0-99" are a hundred. "0-0" can be
// one or none, and "0--1" is none (quirk U6).
func rangeEnd(header http.Header) (int64, bool) {
	value := strings.TrimPrefix(header.Get("Range"), "bytes=")
	first, last, ok := strings.Cut(value, "-")
	if !ok || first != "0" {
		return 0, false
	}
	end, err := strconv.ParseInt(last, 10, 64)
	switch {
	case err != nil || end < -1:
		return 0, false
	case end == 0:
		return 0, true
	default:
		return end + 1, true
	}
}
