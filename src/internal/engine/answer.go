// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// maxHeld is the size up to which a list or manifest is taken into memory, in bytes.
const maxHeld = 32 << 10

// answer maps what the registry answered to the client's view. It runs as ReverseProxy's ModifyResponse; its
// error takes the place of the answer.
func (x *exchange) answer(resp *http.Response) error {
	x.entry.UpstreamStatus = resp.StatusCode
	switch {
	case resp.StatusCode < 200:
		return oci.Errorf(oci.Unavailable, "the registry wants to speak another protocol")
	case resp.StatusCode >= 400:
		return x.refusal(resp)
	case resp.StatusCode >= 300 && resp.StatusCode != http.StatusNotModified:
		return x.bounce(resp)
	}
	upstream := resp.Header
	resp.Header = returned(upstream, x.target.Discreet)
	if x.target.Cache != nil && x.target.Cache.Warning() != "" {
		resp.Header.Set("Warning", x.target.Cache.Warning())
	}
	switch x.route.Kind {
	case oci.UploadStart, oci.Upload:
		return x.uploadAnswer(resp, upstream)
	case oci.Manifest, oci.Blob:
		switch x.route.Method {
		case http.MethodPut:
			x.stored(resp, upstream)
		case http.MethodDelete:
			empty(resp, http.StatusAccepted)
		}
	case oci.Tags:
		x.mapNext(resp, upstream)
		if x.route.Method == http.MethodHead {
			resp.Header.Del("Content-Length") // the registry's, of a list with its own name in it
			return nil
		}
		return x.mapTags(resp)
	case oci.Referrers:
		x.mapNext(resp, upstream)
		return plain(resp)
	}
	return nil
}

// returned keeps the headers that are the client's business; whatever else a registry sends (cookies,
// challenges, names of its own hosts and sessions) stays here. So do, where it is to stay unknown, those in
// which it may speak of itself, and what it says of caches.
func returned(upstream http.Header, discreet bool) http.Header {
	kept := http.Header{}
	for _, name := range []string{
		"Accept-Ranges", "Cache-Control", "Content-Encoding", "Content-Length", "Content-Range", "Content-Type", "Date",
		contentDigest, "Docker-Distribution-Api-Version", "Etag", "Last-Modified", "Oci-Filters-Applied", "Retry-After",
	} {
		if values := upstream.Values(name); len(values) > 0 {
			kept[name] = values
		}
	}
	if discreet {
		// What the registry sends to everybody is here for those with a license, and no longer than it lasts.
		kept.Set("Cache-Control", "private, no-cache")
	}
	for name, values := range upstream {
		if !discreet && (strings.HasPrefix(name, "Oci-") || name == "Warning") {
			kept[name] = values
		}
	}
	return kept
}

// bounce passes a redirect of a download on, where the operator wants that; any other redirect is an error,
// because it would show the client an address that is not its business, and take no credential along.
func (x *exchange) bounce(resp *http.Response) error {
	reads := x.route.Method == http.MethodGet || x.route.Method == http.MethodHead
	location, err := resp.Request.URL.Parse(resp.Header.Get("Location"))
	if x.route.Method == http.MethodHead && x.route.Kind == oci.Blob && !x.target.Download {
		// The blob is probably there. But nobody here may ask where it is, and what redirects may be no
		// registry at all (quirk D12). A client that hears "no" sends the blob once more, which is safe.
		return oci.Errorf(oci.BlobUnknown,
			"the registry keeps this blob elsewhere, where nothing is looked for without allow_pull: upload it again")
	}
	passed := x.target.Registry.PassesRedirects() && x.call.Download && !x.target.Discreet
	if !reads || err != nil || !passed {
		return oci.Errorf(oci.Unavailable, "the registry answered with a redirect that cannot be followed; its address or scheme in the settings may be wrong")
	}
	upstream.EncodeSpaces(location)
	resp.Header = http.Header{"Location": {location.String()}}
	resp.ContentLength = 0
	discard(resp)
	resp.Body = http.NoBody
	return nil
}

// stored answers for a manifest that the registry has taken. Its Location is the client's path to what the
// registry names, which is the digest of what was pushed under a tag.
func (x *exchange) stored(resp *http.Response, upstream http.Header) {
	empty(resp, http.StatusCreated)
	if resp.Header.Get(contentDigest) == "" && x.pushed != nil {
		if digest, ok := x.pushed.digest(); ok {
			resp.Header.Set(contentDigest, digest)
		}
	}
	x.entry.Digest = resp.Header.Get(contentDigest)
	reference := x.route.Reference
	if location, err := url.Parse(upstream.Get("Location")); err == nil {
		_, named, found := strings.Cut(location.Path, "/manifests/")
		if found && (oci.IsDigest(named) || oci.IsTag(named)) {
			reference = named
		}
	}
	resp.Header.Set("Location", x.target.Base+"/v2/"+x.route.Name+"/manifests/"+reference)
}

// mapNext maps the link to a list's next page (quirk D4). The API server puts its prefix in front of a
// Location only, so the link has to have it already (quirk K1); the API server says what it is.
func (x *exchange) mapNext(resp *http.Response, upstream http.Header) {
	if query, ok := oci.NextLink(upstream); ok {
		resp.Header.Set("Link", oci.FormatLink(x.target.Prefix+x.path, query))
	}
}

// mapTags puts the client's name in place of the registry's (quirk D4), and an empty list in place of none
// (quirk D5). A list that ends within what is held has its length, and 502 in its place when it is none. Of a
// longer one, the client finds out in the middle: its connection is cut.
func (x *exchange) mapTags(resp *http.Response) error {
	if err := plain(resp); err != nil {
		return fmt.Errorf("read list of tags: %w", err)
	}
	mapped := newList(resp.Body, x.route.Name, x.target.Discreet)
	content, whole, err := beginning(mapped)
	switch {
	case errors.Is(err, errList):
		discard(resp)
		return oci.Errorf(oci.Unavailable, "the registry's list of tags is not JSON, or no list of tags").Because(err)
	case err != nil:
		discard(resp)
		return fmt.Errorf("read list of tags: %w", err)
	case whole:
		discard(resp)
		replace(resp, content)
	default:
		stream(resp, io.MultiReader(bytes.NewReader(content), mapped))
	}
	resp.Header.Set("Content-Type", "application/json")
	return nil
}
