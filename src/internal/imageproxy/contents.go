// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/singleflight"
)

const (
	// believed is for how long a registry's word counts that a tag leads to something. A tag that was moved keeps
	// open for so long what it led to, so that pulls under way end well.
	believed = time.Hour
	// settled is for how long nothing is asked again: neither where a tag points to, nor, after all tags were asked
	// for in vain, which tags there are. A search that took long is not begun again for vainFactor times as long.
	settled    = 10 * time.Second
	vainFactor = 5
	maxVain    = 2 * time.Minute
	// The numbers of what is held in memory.
	maxItems        = 1 << 15
	maxDigests      = 1 << 17
	maxRepositories = 256
	maxWitnesses    = 8
	maxLately       = 16
	// maxAsking is how many questions all searches ask at the same time.
	maxAsking = 64
)

// place is a repository of a registry.
type place struct{ registry, host, repository string }

// item is a manifest or blob of a repository.
type item struct {
	place
	kind   oci.Kind
	digest string
}

// pointer is where a tag points to, by the registry's word at a time.
type pointer struct {
	digest string
	at     time.Time
}

// witness is a tag that leads to something, by the registry's word at a time.
type witness struct {
	tag string
	at  time.Time
}

// manifest is what one names.
type manifest struct {
	manifests, blobs []string
	// subject is what it is about, such as the image of a signature; empty: nothing.
	subject string
}

// parseManifest reads what a manifest names; a body that is none names nothing. It knows indexes, image manifests,
// artifact manifests, and Docker's of schema 1.
func parseManifest(body []byte) manifest {
	type descriptor struct{ Digest string }
	var all struct {
		Manifests, Layers, Blobs []descriptor
		Config, Subject          descriptor
		FSLayers                 []struct{ BlobSum string } `json:"fsLayers"`
	}
	if json.Unmarshal(body, &all) != nil {
		return manifest{}
	}
	var m manifest
	add := func(to *[]string, digest string) {
		if oci.IsDigest(digest) && !slices.Contains(*to, digest) {
			*to = append(*to, digest)
		}
	}
	for _, each := range all.Manifests {
		add(&m.manifests, each.Digest)
	}
	for _, each := range slices.Concat([]descriptor{all.Config}, all.Layers, all.Blobs) {
		add(&m.blobs, each.Digest)
	}
	for _, each := range all.FSLayers {
		add(&m.blobs, each.BlobSum)
	}
	if oci.IsDigest(all.Subject.Digest) {
		m.subject = all.Subject.Digest
	}
	return m
}

// contents remembers what tags lead to, as the registries have said. Nothing depends on it: what is forgotten, or was
// never known to this replica, is asked for again. Its size is bounded.
type contents struct {
	searches singleflight.Group[struct{}]
	// slots are for questions to registries, of all searches.
	slots chan struct{}

	mu sync.Mutex
	// found has the tags that lead to an item, and manifests what does not change about them.
	found     *simplelru.LRU[item, []witness]
	manifests *simplelru.LRU[item, manifest]
	digests   int // in manifests
	places    *simplelru.LRU[place, *tagsOf]
}

// tagsOf is what is remembered of the tags of a repository.
type tagsOf struct {
	pointers map[string]pointer
	// lately are tags that were asked for by customers who have them, the latest first.
	lately []string
	// vain is until when a search is not begun again, by the tags that it looked at.
	vain map[string]time.Time
}

func newContents() *contents {
	c := &contents{slots: make(chan struct{}, maxAsking)}
	// Only a size that is not positive is an error.
	c.found, _ = simplelru.NewLRU[item, []witness](maxItems, nil)
	c.manifests, _ = simplelru.NewLRU(maxDigests, func(_ item, m manifest) { c.digests -= m.size() })
	c.places, _ = simplelru.NewLRU[place, *tagsOf](maxRepositories, nil)
	return c
}

// slow makes questions wait for each other where there are too many.
func (c *contents) slow(ask askFunc) askFunc {
	return func(ctx context.Context, route oci.Route, query string) (*http.Response, error) {
		select {
		case c.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		defer func() { <-c.slots }()
		return ask(ctx, route, query)
	}
}

func (m manifest) size() int { return 1 + len(m.manifests) + len(m.blobs) }

// of returns what is remembered of a repository. It is called with the lock.
func (c *contents) of(p place) *tagsOf {
	known, ok := c.places.Get(p)
	if !ok {
		known = &tagsOf{pointers: map[string]pointer{}, vain: map[string]time.Time{}}
		c.places.Add(p, known)
	}
	return known
}

// leads returns a tag that is open and leads to an item; false: none is known.
func (c *contents) leads(i item, open catalog.Tags, now time.Time) (witness, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all, _ := c.found.Get(i)
	for _, each := range all {
		if now.Sub(each.at) < believed && open.Has(each.tag) {
			return each, true
		}
	}
	return witness{}, false
}

// add remembers that a tag leads to items. Of too many tags those go whose word is oldest.
func (c *contents) add(by witness, items ...item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, each := range items {
		old, _ := c.found.Get(each)
		all := make([]witness, 0, min(len(old)+1, maxWitnesses))
		all = append(all, by)
		for _, one := range old {
			if one.tag != by.tag && len(all) < maxWitnesses {
				all = append(all, one)
			}
		}
		slices.SortStableFunc(all, func(a, b witness) int { return b.at.Compare(a.at) })
		c.found.Add(each, all)
	}
}

// asked notes that a customer who has a tag asks for it. Where it points to is then asked anew.
func (c *contents) asked(p place, tag string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.of(p)
	delete(known.pointers, tag)
	others := slices.DeleteFunc(known.lately, func(each string) bool { return each == tag })
	known.lately = slices.Insert(others, 0, tag)
	known.lately = known.lately[:min(len(known.lately), maxLately)]
}

func (c *contents) askedLately(p place) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.of(p).lately)
}

// pointer returns where a tag points to; false: that is not known.
func (c *contents) pointer(p place, tag string) (pointer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.of(p).pointers[tag]
	return found, ok
}

// points remembers where a tag points to; an empty digest: it is not there.
func (c *contents) points(p place, tag string, to pointer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.of(p)
	if len(known.pointers) >= 2*maxTags {
		clear(known.pointers)
	}
	known.pointers[tag] = to
}

// manifest returns what a manifest names; false: that is not known.
func (c *contents) manifest(i item) (manifest, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.manifests.Get(i)
}

func (c *contents) keep(i item, m manifest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.manifests.Remove(i)
	c.manifests.Add(i, m)
	for c.digests += m.size(); c.digests > maxDigests; {
		c.manifests.RemoveOldest()
	}
}

// isVain reports whether a search among the same tags has just found nothing more.
func (c *contents) isVain(p place, open catalog.Tags, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return now.Before(c.of(p).vain[open.String()])
}

// vain notes that a search which took so long has found nothing.
func (c *contents) vain(p place, open catalog.Tags, now time.Time, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.of(p)
	if len(known.vain) >= maxTags {
		clear(known.vain)
	}
	known.vain[open.String()] = now.Add(min(max(settled, vainFactor*took), maxVain))
}
