// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"iter"
	"math/bits"
	"slices"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// Images are images by their patterns. The zero one has all.
type Images struct {
	patterns []oci.ImagePattern
	limited  bool
}

// NewImages makes images of patterns [host/]repository[:tag]; of none, all. One that cannot be read opens nothing.
func NewImages(texts []string) Images { return newImages(texts, oci.ParseImagePattern) }

// Limited reports whether they are not all.
func (i Images) Limited() bool { return i.limited }

// NewRepositories makes images of patterns of repositories alone.
func NewRepositories(texts []string) Images { return newImages(texts, oci.ParseRepositoryPattern) }

func newImages(texts []string, parse func(string) (oci.ImagePattern, error)) Images {
	if len(texts) == 0 {
		return Images{}
	}
	images := Images{patterns: make([]oci.ImagePattern, 0, len(texts)), limited: true}
	for _, text := range texts {
		pattern, err := parse(text)
		if err != nil {
			continue
		}
		if pattern.Host != "" {
			pattern.Host = upstream.Canonical(pattern.Host)
		}
		images.patterns = append(images.patterns, pattern)
	}
	return images
}

// Tags are what images have of one repository: all of it, or the tags that one of the patterns stands for.
type Tags struct {
	whole    bool
	patterns []oci.ImagePattern
	// fit has a bit for each pattern that is of the repository. The first 64 count, which is all that a license has.
	fit uint64
}

// None reports whether it is nothing of the repository.
func (t Tags) None() bool { return !t.whole && t.fit == 0 }

// Whole reports whether it is all of the repository, with what no tag leads to.
func (t Tags) Whole() bool { return t.whole }

// Has reports whether a tag is among them.
func (t Tags) Has(tag string) bool {
	for pattern := range t.all() {
		if oci.MatchTag(pattern, tag) {
			return true
		}
	}
	return t.whole
}

// String tells different tags apart.
func (t Tags) String() string { return strings.Join(slices.Collect(t.all()), " ") }

// Fixed returns the tags if there is no * among them; false: which there are has to be asked for.
func (t Tags) Fixed() (tags []string, fixed bool) {
	fixed = !t.whole
	for pattern := range t.all() {
		if strings.Contains(pattern, "*") {
			fixed = false
		} else {
			tags = append(tags, pattern)
		}
	}
	return tags, fixed
}

// all are the patterns of tags.
func (t Tags) all() iter.Seq[string] {
	return func(yield func(string) bool) {
		for fit := t.fit; fit != 0; fit &= fit - 1 {
			if !yield(t.patterns[bits.TrailingZeros64(fit)].Tag) {
				return
			}
		}
	}
}

// Of returns what the images have of a repository of a registry. On Docker Hub, a pattern of one segment is of the
// images in library/, as in references.
func (i Images) Of(hostname, repository string) Tags {
	if !i.limited {
		return Tags{whole: true}
	}
	host := upstream.Canonical(hostname)
	tags := Tags{patterns: i.patterns}
	for n, pattern := range i.patterns {
		if pattern.Host != "" && pattern.Host != host || !matches(pattern, host, repository) {
			continue
		}
		if pattern.Tag == "" {
			return Tags{whole: true}
		}
		tags.fit |= 1 << n
	}
	return tags
}

func matches(pattern oci.ImagePattern, host, repository string) bool {
	if host == upstream.DockerHub && pattern.Repository != "**" && !strings.Contains(pattern.Repository, "/") {
		official, ok := strings.CutPrefix(repository, "library/")
		return ok && pattern.MatchRepository(official)
	}
	return pattern.MatchRepository(repository)
}

// Opens reports whether a repository is open at all.
func (r *Registry) Opens(repository string) bool {
	return !r.Repositories.Of(r.Hostname, repository).None()
}
