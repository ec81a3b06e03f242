// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/local-source-proxy/local-source-proxy/src/internal/engine"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// maxPage is how many tags one answer has at most.
const maxPage = 1000

// openTags answers for a list of tags with those that are open, in pages of its own. The registry's pages say
// nothing of where those end, and their links name tags that are closed. So each page is made of all of the registry's
// list, of which no more than twice a page is held.
type openTags struct {
	next     engine.Cache // nil: there is none
	registry *upstream.Registry
	open     catalog.Tags
}

// Answer implements [engine.Cache].
func (o *openTags) Answer(req *http.Request, _ oci.Route) (*http.Response, error) {
	ask := func(ctx context.Context, route oci.Route, query string) (*http.Response, error) {
		one := req.Clone(ctx)
		one.Method, one.Header, one.URL.RawQuery = http.MethodGet, http.Header{}, query
		if o.next == nil {
			return o.registry.RoundTrip(one)
		}
		return o.next.Answer(one, route)
	}
	wanted := pageOf(req.URL.RawQuery)
	instead, err := allTags(req.Context(), ask, func(tag string) {
		if o.open.Has(tag) {
			wanted.take(tag)
		}
	})
	if err != nil || instead != nil {
		return instead, err
	}
	return wanted.response(req)
}

// Open implements [engine.Cache]. There are no blobs among lists.
func (*openTags) Open(*http.Request, string) (*engine.Content, *http.Response, error) {
	return nil, nil, nil
}

// Warning implements [engine.Cache].
func (o *openTags) Warning() string {
	if o.next == nil {
		return ""
	}
	return o.next.Warning()
}

// tagPage is the page of a list that a client asks for: the first so many tags behind the last one that it has.
type tagPage struct {
	size int
	last string
	tags []string
}

// pageOf reads the query of a list (distribution-spec, "Listing Tags"). A number that is none counts as not given.
func pageOf(rawQuery string) *tagPage {
	query, _ := url.ParseQuery(rawQuery) // what cannot be read is not there
	p := &tagPage{size: maxPage, last: query.Get("last")}
	if n, err := strconv.ParseUint(query.Get("n"), 10, 63); err == nil {
		p.size = int(min(n, maxPage))
	}
	return p
}

// take takes a tag of the registry's list, in whatever order that comes.
func (p *tagPage) take(tag string) {
	if tag <= p.last {
		return
	}
	if p.tags = append(p.tags, tag); len(p.tags) > 2*maxPage {
		p.cut()
	}
}

// cut keeps the page, and one tag more, which tells that another page follows.
func (p *tagPage) cut() {
	slices.Sort(p.tags)
	p.tags = slices.Compact(p.tags)
	p.tags = p.tags[:min(len(p.tags), p.size+1)]
}

func (p *tagPage) response(req *http.Request) (*http.Response, error) {
	p.cut()
	header := http.Header{"Content-Type": {"application/json"}}
	page := p.tags[:min(len(p.tags), p.size)]
	if len(p.tags) > len(page) && len(page) > 0 {
		query := url.Values{"n": {strconv.Itoa(p.size)}, "last": {page[len(page)-1]}}
		header.Set("Link", oci.FormatLink(req.URL.Path, query.Encode()))
	}
	body, err := json.Marshal(map[string][]string{"tags": slices.Concat([]string{}, page)})
	if err != nil {
		return nil, fmt.Errorf("write list of tags: %w", err)
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	resp := &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Request: req, ContentLength: int64(len(body)), Body: http.NoBody,
	}
	if req.Method != http.MethodHead {
		resp.Body = io.NopCloser(bytes.NewReader(body))
	}
	return resp, nil
}
