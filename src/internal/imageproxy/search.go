// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

const (
	// maxTags is how many open tags of a repository are looked at, the newest first.
	maxTags = 1000
	// maxQuestions ends one search: what has not been found then is not open.
	maxQuestions = 4000
	// maxReferrers is of how many digests the referrers are asked for.
	maxReferrers = 256
	// searchLimit is how long one search may take.
	searchLimit = time.Minute
	// atOnce is how many questions a search asks at the same time.
	atOnce = 8
	// maxDepth is how deep indexes may be nested, and signatures be signed.
	maxDepth = 4
)

// errBudget ends a search that has asked enough.
var errBudget = errors.New("too many questions for one search")

// search looks for something among what open tags lead to.
type search struct {
	asked
	contents *contents
	ask      askFunc
	now      func() time.Time
	depth    int

	questions atomic.Int64
}

// run searches, once for all who look among the same tags at the same time: what is found for one is remembered for
// all. A nil error says that the search came to its end, whatever it found.
func (s *search) run(ctx context.Context) error {
	key := strings.Join([]string{s.place.registry, s.host, s.repository, s.open.String()}, "\n")
	for {
		var own atomic.Bool
		_, err := s.contents.searches.Do(ctx, key, searchLimit, func(ctx context.Context) (struct{}, error) {
			own.Store(true)
			return struct{}{}, s.tags(ctx)
		})
		if err != nil {
			return err
		}
		if own.Load() || s.found() {
			break
		}
	}
	if s.found() || s.kind != oci.Manifest {
		return nil
	}
	return s.subject(ctx)
}

func (s *search) found() bool {
	_, ok := s.contents.leads(s.item, s.open, s.now())
	return ok
}

// tags goes through the open tags: first those that are likely, then all that there are, then what is attached to
// images. It ends when it has found what is looked for.
func (s *search) tags(ctx context.Context) error {
	fixed, complete := s.open.Fixed()
	lately := s.contents.askedLately(s.place)
	likely := slices.DeleteFunc(slices.Concat(lately, fixed), func(tag string) bool { return !s.open.Has(tag) })
	for _, look := range []func() error{
		func() error { return s.through(ctx, likely) },
		func() error { return s.derived(ctx, lately) },
		func() error { return s.listed(ctx, likely, complete) },
	} {
		if s.found() {
			return nil
		}
		if err := look(); err != nil {
			return err
		}
	}
	return nil
}

// listed goes through the tags that the registry lists, unless that was just done in vain.
func (s *search) listed(ctx context.Context, likely []string, complete bool) error {
	began := s.now()
	if s.contents.isVain(s.place, s.open, began) {
		return nil
	}
	err := s.all(ctx, likely, complete)
	if s.found() || err != nil && !errors.Is(err, errBudget) {
		return err
	}
	s.contents.vain(s.place, s.open, s.now(), s.now().Sub(began))
	return nil
}

// all goes through the tags that the registry lists, and what is attached to their images.
func (s *search) all(ctx context.Context, likely []string, complete bool) error {
	open, made, err := s.list(ctx)
	if err != nil {
		return err
	}
	if !complete {
		if err := s.through(ctx, open); err != nil || s.found() {
			return err
		}
	}
	if err := s.derived(ctx, made); err != nil || s.found() || s.kind == oci.Manifest {
		return err // a manifest says itself what it is about
	}
	return s.referrers(ctx, slices.Concat(likely, open))
}

// list returns the open tags, the newest first as far as names tell, and those that are made of digests.
func (s *search) list(ctx context.Context) (open, made []string, err error) {
	if err := s.count(); err != nil {
		return nil, nil, err
	}
	instead, err := allTags(ctx, s.ask, func(tag string) {
		switch {
		case s.open.Has(tag):
			open = append(open, tag)
		case derivedFrom(tag) != "":
			made = append(made, tag)
		}
	})
	if instead != nil {
		_ = instead.Body.Close() // no such repository: it has no tags
	}
	if err != nil {
		return nil, nil, err
	}
	slices.SortFunc(open, func(a, b string) int { return naturally(b, a) })
	return open[:min(len(open), maxTags)], made, nil
}

// through looks at tags: a manifest is first compared with where they point to, which is one small question each.
func (s *search) through(ctx context.Context, tags []string) error {
	if s.kind == oci.Manifest {
		if err := s.each(ctx, tags, func(ctx context.Context, tag string) error {
			_, err := s.resolve(ctx, tag)
			return err
		}); err != nil || s.found() {
			return err
		}
	}
	return s.each(ctx, tags, func(ctx context.Context, tag string) error {
		to, err := s.resolve(ctx, tag)
		if err != nil || to.digest == "" {
			return err
		}
		return s.expand(ctx, to.digest, witness{tag, to.at}, 0)
	})
}

// each does something for one tag after another, several at once, until what is looked for is found.
func (s *search) each(ctx context.Context, all []string, do func(context.Context, string) error) error {
	for some := range slices.Chunk(all, atOnce) {
		group, ctx := errgroup.WithContext(ctx)
		for _, each := range some {
			group.Go(func() error { return do(ctx, each) })
		}
		if err := group.Wait(); err != nil && !s.found() {
			return err
		}
		if s.found() {
			return nil
		}
	}
	return nil
}

// resolve asks where a tag points to, unless it was just asked for.
func (s *search) resolve(ctx context.Context, tag string) (pointer, error) {
	to, ok := s.contents.pointer(s.place, tag)
	if !ok || s.now().Sub(to.at) >= settled {
		if err := s.count(); err != nil {
			return pointer{}, err
		}
		digest, err := digestOf(ctx, s.ask, tag)
		if err != nil {
			return pointer{}, err
		}
		to = pointer{digest, s.now()}
		s.contents.points(s.place, tag, to)
	}
	if to.digest != "" && s.open.Has(tag) {
		s.contents.add(witness{tag, to.at}, item{s.place, oci.Manifest, to.digest})
	}
	return to, nil
}

// expand remembers what a manifest leads to, by the word of a tag.
func (s *search) expand(ctx context.Context, digest string, by witness, depth int) error {
	if depth >= maxDepth {
		return nil
	}
	m, err := s.manifest(ctx, digest)
	if err != nil {
		return err
	}
	items := []item{{s.place, oci.Manifest, digest}}
	for _, each := range m.manifests {
		items = append(items, item{s.place, oci.Manifest, each})
	}
	for _, each := range m.blobs {
		items = append(items, item{s.place, oci.Blob, each})
	}
	s.contents.add(by, items...)
	for _, each := range m.manifests {
		if err := s.expand(ctx, each, by, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// manifest returns what a manifest names. One that the registry does not have names nothing: indexes may be sparse.
func (s *search) manifest(ctx context.Context, digest string) (manifest, error) {
	i := item{s.place, oci.Manifest, digest}
	if known, ok := s.contents.manifest(i); ok {
		return known, nil
	}
	if err := s.count(); err != nil {
		return manifest{}, err
	}
	body, err := readAll(ctx, s.ask, oci.Route{Kind: oci.Manifest, Method: http.MethodGet, Reference: digest})
	if err != nil || body == nil {
		return manifest{}, err
	}
	m := parseManifest(body)
	s.contents.keep(i, m)
	return m, nil
}

// subject looks at what a manifest is about, such as the image of a signature: it is open if that is.
func (s *search) subject(ctx context.Context) error {
	if s.depth >= maxDepth {
		return nil
	}
	m, err := s.manifest(ctx, s.digest)
	if err != nil || m.subject == "" {
		return err
	}
	about := &search{
		asked: asked{item{s.place, oci.Manifest, m.subject}, nil, s.open}, contents: s.contents, ask: s.ask,
		now: s.now, depth: s.depth + 1,
	}
	if !about.found() {
		if err := about.run(ctx); err != nil {
			return err
		}
	}
	if by, ok := s.contents.leads(about.item, s.open, s.now()); ok {
		return s.expand(ctx, s.digest, by, 0)
	}
	return nil
}

// derived looks at tags that are made of digests which are open, such as those of signatures.
func (s *search) derived(ctx context.Context, tags []string) error {
	return s.each(ctx, tags, func(ctx context.Context, tag string) error {
		by, ok := s.contents.leads(item{s.place, oci.Manifest, derivedFrom(tag)}, s.open, s.now())
		if !ok {
			return nil
		}
		to, err := s.resolve(ctx, tag)
		if err != nil || to.digest == "" {
			return err
		}
		return s.expand(ctx, to.digest, by, 0)
	})
}

// referrers looks at what refers to the images of tags.
func (s *search) referrers(ctx context.Context, tags []string) error {
	return s.each(ctx, s.images(tags), func(ctx context.Context, digest string) error {
		by, ok := s.contents.leads(item{s.place, oci.Manifest, digest}, s.open, s.now())
		if !ok {
			return nil
		}
		if err := s.count(); err != nil {
			return err
		}
		body, err := readAll(ctx, s.ask, oci.Route{Kind: oci.Referrers, Method: http.MethodGet, Reference: digest})
		if err != nil {
			return err
		}
		for _, each := range parseManifest(body).manifests {
			if err := s.expand(ctx, each, by, 0); err != nil {
				return err
			}
		}
		return nil
	})
}

// images are the digests that tags point to, and what their indexes name.
func (s *search) images(tags []string) []string {
	var all []string
	for _, tag := range tags {
		to, ok := s.contents.pointer(s.place, tag)
		if !ok || to.digest == "" || slices.Contains(all, to.digest) {
			continue
		}
		m, _ := s.contents.manifest(item{s.place, oci.Manifest, to.digest})
		if all = slices.Concat(all, []string{to.digest}, m.manifests); len(all) > maxReferrers {
			return all[:maxReferrers]
		}
	}
	return all
}

// count counts a question.
func (s *search) count() error {
	if s.questions.Add(1) > maxQuestions {
		return errBudget
	}
	return nil
}
