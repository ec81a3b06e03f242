// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/engine"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// derived are the tags that the tag scheme for referrers, and cosign, make of a digest.
var derived = regexp.MustCompile(`^sha256-([0-9a-f]{64})(?:\.[a-z0-9]+)?$`)

// derivedFrom returns the digest that a tag is made of; empty: it is of none.
func derivedFrom(tag string) string {
	if match := derived.FindStringSubmatch(tag); match != nil {
		return "sha256:" + match[1]
	}
	return ""
}

// isDigest tells the reference of a manifest, which is known to be one, from a tag.
func isDigest(reference string) bool { return strings.Contains(reference, ":") }

// asked is something that is open only if an open tag leads to it.
type asked struct {
	item
	registry *catalog.Registry
	open     catalog.Tags
}

// entitled decides about what a license opens of a repository of which it has something. What has to be looked for is
// left in asked.
func (v *visit) entitled(target *engine.Target, registry *catalog.Registry, operation oci.Route) error {
	v.asked = nil
	open := v.opened
	if open.Whole() {
		return nil
	}
	at := place{registry.Name, registry.Hostname, target.Repository}
	kind, digest := operation.Kind, operation.Reference
	switch kind {
	case oci.Tags:
		target.Cache = &openTags{next: target.Cache, registry: registry.Upstream, open: open}
		return nil
	case oci.Manifest:
		if isDigest(operation.Reference) {
			break
		}
		if open.Has(operation.Reference) {
			v.contents.asked(at, operation.Reference)
			return nil
		}
		if digest = derivedFrom(operation.Reference); digest == "" {
			return v.deny(NotLicensed, errClosed())
		}
	case oci.Referrers:
		kind = oci.Manifest
	}
	v.asked = &asked{item{at, kind, digest}, registry, open}
	return nil
}

// reached admits what an open tag leads to. What this replica does not know is asked of the registry. Then the request
// is decided about anew: that may have taken a while.
func (v *visit) reached(r *http.Request, operation oci.Route, target engine.Target) (engine.Target, error) {
	_, known := v.contents.leads(v.asked.item, v.asked.open, time.Now())
	if !known {
		err := v.search(r.Context())
		if err != nil {
			return engine.Target{}, err
		}
		if target, _, err = v.decide(r, operation); err != nil || v.asked == nil {
			return target, err
		}
		_, known = v.contents.leads(v.asked.item, v.asked.open, time.Now())
	}
	if !known {
		return engine.Target{}, v.deny(NotLicensed, errClosed())
	}
	if operation.Kind == oci.Manifest && !isDigest(operation.Reference) {
		v.contents.asked(v.asked.place, operation.Reference)
	}
	return target, nil
}

// search has the registry say what open tags lead to. Its error is the answer of a request that could not be decided.
func (v *visit) search(ctx context.Context) error {
	ask := questions{cache: v.cfg.Cache, registry: v.asked.registry, repository: v.asked.repository}.ask
	s := &search{contents: v.contents, asked: *v.asked, now: time.Now, ask: v.contents.slow(ask)}
	err := s.run(ctx)
	refusal, refused := errors.AsType[*upstream.Refusal](err)
	switch {
	case err == nil, ctx.Err() != nil:
		return ctx.Err() // nobody reads it: the client is gone
	case refused:
		return v.refused(ctx, v.asked.registry, refusal)
	default:
		return oci.Errorf(oci.Unavailable, "the vendor's registry cannot say now whether this license opens this image; "+
			"try again in a moment").Because(of(v.asked.registry, err))
	}
}
