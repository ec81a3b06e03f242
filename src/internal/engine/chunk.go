// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/session"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// span is the part of a blob that a chunk says it is.
type span struct{ first, last int64 }

// chunkOf reads a chunk's Content-Range, "<first>-<last>"; false for a request that has none, or none that
// can be read.
func chunkOf(req *http.Request) (span, bool) {
	first, last, ok := strings.Cut(strings.TrimPrefix(req.Header.Get("Content-Range"), "bytes "), "-")
	start, err := strconv.ParseInt(first, 10, 64)
	if !ok || err != nil {
		return span{}, false
	}
	end, err := strconv.ParseInt(last, 10, 64)
	return span{start, end}, err == nil && 0 <= start && start <= end
}

// fits reports whether a request's body is as long as its Content-Range says.
func (s span) fits(req *http.Request) bool { return req.ContentLength == s.last-s.first+1 }

// chunkOrStream sends a chunk. A first one that the registry refuses as such goes as a stream, that is
// without Content-Range: some registries take no chunks, or none of its size, but take any stream (quirks U3
// and U4). Its body must be untouched.
//
// A chunk whose answer was lost comes again, and must not be appended twice (quirk U11). So the registry is
// asked first whether it has nothing yet, and the stream goes to an upload of its own: an earlier attempt
// that is still on its way cannot arrive there. A later chunk cannot be mended so: a request that stays open
// between chunks would live in one replica only.
func (x *exchange) chunkOrStream(req *http.Request) (*http.Response, error) {
	resp, err := x.target.Registry.RoundTrip(req)
	if err != nil || !refusesChunks(resp.StatusCode, peek(resp)) {
		return resp, err
	}
	x.stands = x.ask(req.Context())
	part, chunked := chunkOf(req)
	if !chunked || part.first != 0 || !part.fits(req) || x.record.Offset != 0 || !x.stands.isEmpty() {
		return resp, nil
	}
	again, ok := upstream.RepeatBody(req)
	if !ok {
		return resp, nil
	}
	location, ok := x.begin(req.Context())
	if !ok {
		return resp, nil
	}
	again.URL, err = x.at(req.Context(), location)
	if err != nil {
		return resp, nil //nolint:nilerr // the registry's refusal is what the client has to know
	}
	discard(resp)
	x.record = session.Record{Location: location}
	again.Header.Del("Content-Range")
	return x.target.Registry.RoundTrip(again)
}

// peek returns the code of an error, and leaves its body to be read again.
func peek(resp *http.Response) oci.Code {
	if resp.StatusCode != http.StatusBadRequest {
		return ""
	}
	content := said(resp)
	resp.Body = io.NopCloser(bytes.NewReader(content))
	entries := entriesOf(content)
	if len(entries) == 0 {
		return ""
	}
	return known(entries[0].Code)
}

// refusesChunks reports whether an answer can mean that a registry does not take a chunk as such. A 400 can
// mean much else, which its code tells.
func refusesChunks(status int, code oci.Code) bool {
	switch status {
	case http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge, http.StatusRequestedRangeNotSatisfiable,
		http.StatusNotImplemented:
		return true
	case http.StatusBadRequest:
		return code == "" || code == oci.Unknown || code == oci.Unsupported
	default:
		return false
	}
}

// standing is how far an upload is by the registry's word.
type standing struct {
	// known is false where the registry did not say.
	known bool
	// said is how many bytes the registry says it has.
	said int64
	// location is where the upload goes on.
	location string
}

// isEmpty reports whether the registry says that nothing has arrived. "0-0", which it says then, can be one
// byte, too.
func (s standing) isEmpty() bool { return s.known && s.said == 0 }

// ask asks the registry how far the upload is that the request continues (distribution-spec, "Pushing a blob
// in chunks").
func (x *exchange) ask(ctx context.Context) standing {
	address, err := x.at(ctx, x.record.Location)
	if err != nil {
		return standing{}
	}
	req := &http.Request{Method: http.MethodGet, URL: address, Header: http.Header{}, Body: http.NoBody}
	resp, err := x.target.Registry.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return standing{}
	}
	defer discard(resp)
	if resp.StatusCode != http.StatusNoContent {
		return standing{}
	}
	said, known := rangeEnd(resp.Header)
	location, err := x.sessionLocation(resp.Request.URL, resp.Header.Get("Location"))
	if err != nil {
		location = x.record.Location
	}
	return standing{known: known, said: said, location: location}
}

// begin starts another upload.
func (x *exchange) begin(ctx context.Context) (location string, ok bool) {
	address, err := x.at(ctx, "/v2/"+x.target.Repository+"/blobs/uploads/")
	if err != nil {
		return "", false
	}
	req := &http.Request{Method: http.MethodPost, URL: address, Header: http.Header{}, Body: http.NoBody}
	resp, err := x.target.Registry.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return "", false
	}
	defer discard(resp)
	location, err = x.sessionLocation(resp.Request.URL, resp.Header.Get("Location"))
	return location, err == nil && resp.StatusCode == http.StatusAccepted
}

// at is the address of a path and query on the registry. The path is set in its escaped form: an upload's
// location must stay as it is, byte for byte (quirk U1).
func (x *exchange) at(ctx context.Context, location string) (*url.URL, error) {
	path, query, _ := strings.Cut(location, "?")
	unescaped, err := url.PathUnescape(path)
	if err != nil {
		return nil, upstream.ErrLocation
	}
	address, err := x.target.Registry.URL(ctx, "/", "")
	if err != nil {
		return nil, err
	}
	address.Path, address.RawPath, address.RawQuery = unescaped, path, query
	return address, nil
}

// chunkRefusal explains a refused part of an upload; nil where there is nothing to add to what the registry
// says. A client that began at the wrong place learns the right one (quirk U11). That the registry takes no
// such chunks is said of one that began at the right place, and was as long as it said (quirks U3 and U4).
func (x *exchange) chunkRefusal(resp *http.Response, code oci.Code, message string) error {
	stands := x.stands
	if !stands.known {
		stands.said, stands.known = rangeEnd(resp.Header)
		stands.location = x.record.Location
	}
	record := x.record.Reporting(stands.said)
	part, chunked := chunkOf(resp.Request)
	fits := record.Offset > 0
	if chunked {
		fits = part.first == record.Offset && part.fits(resp.Request)
	}
	// A session that is behind may be refused for that: its location can hold how far it knows the upload to
	// be.
	fits = fits && record.Offset == x.record.Offset
	answered := strings.TrimSuffix(fmt.Sprintf("it answered %d: %s", resp.StatusCode, message), ": ")
	switch {
	case resp.Request.Method == http.MethodPatch && stands.known && fits && refusesChunks(resp.StatusCode, code):
		return oci.Errorf(oci.BlobUploadInvalid, "the registry does not take this blob in such chunks (%s): "+
			"send smaller ones, or the whole blob in one request, that is one PATCH without Content-Range or one PUT",
			answered)
	case resp.StatusCode != http.StatusRequestedRangeNotSatisfiable:
		return nil
	case !stands.known:
		return oci.Errorf(oci.RangeInvalid, "the registry refuses the chunk, and does not say how far the "+
			"upload is (%s): start the upload of this blob again", answered)
	}
	record.Location = stands.location
	header := http.Header{}
	if err := x.seal(header, record); err != nil {
		return err
	}
	return oci.Errorf(oci.RangeInvalid, "the chunk does not fit: the upload stands at byte %d, which is where the "+
		"next one has to begin (%s)", record.Offset, answered).
		With("Location", header.Get("Location")).With("Range", header.Get("Range"))
}
