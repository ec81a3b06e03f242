// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	godigest "github.com/opencontainers/go-digest"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy/cache"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 16 << 20

// manifestTypes are those that lead further.
func manifestTypes() []string {
	return []string{
		"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json",
		"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json",
		"application/vnd.oci.artifact.manifest.v1+json", "*/*",
	}
}

// questions are those of the proxy's own, to find out what a license opens.
type questions struct {
	cache      *cache.Cache
	registry   *catalog.Registry
	repository string
}

// ask asks the cache, or else the registry. A 404 is an answer; another refusal is an error.
func (q questions) ask(ctx context.Context, route oci.Route, query string) (*http.Response, error) {
	path := "/v2/" + q.repository + "/tags/list"
	switch route.Kind {
	case oci.Manifest:
		path = "/v2/" + q.repository + "/manifests/" + route.Reference
	case oci.Referrers:
		path = "/v2/" + q.repository + "/referrers/" + route.Reference
	}
	ctx = upstream.WithCall(ctx, upstream.Call{
		Operation: route.Operation(), Scopes: []upstream.Scope{upstream.Pull(q.repository)},
	})
	address, err := q.registry.Upstream.URL(ctx, path, query)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, route.Method, address.String(), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("ask for %s: %w", route.Operation(), err)
	}
	if route.Kind == oci.Manifest {
		req.Header["Accept"] = manifestTypes()
	}
	var resp *http.Response
	if q.cache == nil {
		resp, err = q.registry.Upstream.RoundTrip(req)
	} else {
		resp, err = q.cache.For(q.registry.Upstream, q.registry.Name, q.repository).Answer(req, route)
	}
	if err != nil {
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusNotFound:
		return resp, nil
	case http.StatusUnauthorized, http.StatusForbidden:
		err = &upstream.Refusal{Status: resp.StatusCode, Reason: fmt.Sprintf("the registry answered %d", resp.StatusCode)}
	default:
		err = fmt.Errorf("the registry answered %d to %s", resp.StatusCode, route.Operation())
	}
	_ = resp.Body.Close()
	return nil, err
}

// bodyOf is the body of an answer, decompressed where the registry has compressed it unasked (quirk D3).
func bodyOf(resp *http.Response) (io.Reader, error) {
	body := io.LimitReader(resp.Body, maxAnswer)
	if !strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		return body, nil
	}
	plain, err := gzip.NewReader(body)
	if err != nil {
		return nil, fmt.Errorf("decompress the answer: %w", err)
	}
	return io.LimitReader(plain, maxAnswer), nil
}

// readAll asks, and reads all of the answer; nil: there is no such thing.
func readAll(ctx context.Context, ask askFunc, route oci.Route) (body []byte, err error) {
	resp, err := ask(ctx, route, "")
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, nil
	}
	from, err := bodyOf(resp)
	if err != nil {
		return nil, err
	}
	if body, err = io.ReadAll(from); err != nil {
		return nil, fmt.Errorf("read %s: %w", route.Operation(), err)
	}
	return body, nil
}

// digestOf asks where a tag points to; empty: it is not there. Some registries do not say so in a header (quirk D2).
func digestOf(ctx context.Context, ask askFunc, tag string) (string, error) {
	resp, err := ask(ctx, oci.Route{Kind: oci.Manifest, Method: http.MethodHead, Reference: tag}, "")
	if err != nil {
		return "", err
	}
	_ = resp.Body.Close()
	said := resp.Header.Get("Docker-Content-Digest")
	switch {
	case resp.StatusCode != http.StatusOK:
		return "", nil
	case oci.IsDigest(said):
		return said, nil
	}
	body, err := readAll(ctx, ask, oci.Route{Kind: oci.Manifest, Method: http.MethodGet, Reference: tag})
	if err != nil || body == nil {
		return "", err
	}
	return godigest.FromBytes(body).String(), nil
}

// errTags says that what should be a list of tags is none.
var errTags = errors.New("not a list of tags")

// eachTag calls take with every tag of a list while it is read.
func eachTag(from io.Reader, take func(tag string)) error {
	list := json.NewDecoder(from)
	if begin, err := list.Token(); err != nil || begin != json.Delim('{') {
		return errors.Join(errTags, err)
	}
	for list.More() {
		key, err := list.Token()
		if err != nil {
			return errors.Join(errTags, err)
		}
		if name, _ := key.(string); !strings.EqualFold(name, "tags") {
			var other json.RawMessage
			if err := list.Decode(&other); err != nil {
				return errors.Join(errTags, err)
			}
			continue
		}
		if begin, err := list.Token(); err != nil || begin != json.Delim('[') {
			if err == nil && begin == nil { // quirk D5
				continue
			}
			return errors.Join(errTags, err)
		}
		for list.More() {
			var tag string
			if err := list.Decode(&tag); err != nil {
				return errors.Join(errTags, err)
			}
			take(tag)
		}
		if _, err := list.Token(); err != nil {
			return errors.Join(errTags, err)
		}
	}
	if _, err := list.Token(); err != nil {
		return errors.Join(errTags, err)
	}
	return nil
}

// askFunc asks a registry about one repository.
type askFunc func(ctx context.Context, route oci.Route, query string) (*http.Response, error)

// maxPages is how many pages of tags are read at most, of a thousand each where the registry takes that.
const maxPages = 500

// allTags calls take with every tag of a repository. It returns the registry's answer in place of a list; nil: there
// was one.
func allTags(ctx context.Context, ask askFunc, take func(tag string)) (*http.Response, error) {
	query, seen := "n=1000", map[string]bool{}
	for len(seen) < maxPages {
		resp, err := ask(ctx, oci.Route{Kind: oci.Tags, Method: http.MethodGet}, query)
		if err != nil || resp.StatusCode != http.StatusOK {
			return resp, err
		}
		from, err := bodyOf(resp)
		if err == nil {
			err = eachTag(from, take)
		}
		_ = resp.Body.Close()
		if err != nil {
			return nil, fmt.Errorf("read list of tags: %w", err)
		}
		seen[query] = true
		next, more := oci.NextLink(resp.Header)
		if !more {
			return nil, nil
		}
		if seen[next] {
			return nil, fmt.Errorf("%w: its pages go round in circles", errTags)
		}
		query = next
	}
	return nil, fmt.Errorf("%w that can be read: it has more than %d pages", errTags, maxPages)
}
