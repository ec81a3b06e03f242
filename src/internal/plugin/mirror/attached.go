// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"errors"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// suffixes are those of the tags that cosign makes for signatures, attestations and bills of materials.
func suffixes() []string { return []string{".sig", ".att", ".sbom"} }

// fallbackTag is where a registry without the referrers API keeps what refers to a manifest (OCI distribution
// specification, "Referrers Tag Schema").
func fallbackTag(digest v1.Hash) string { return strings.Replace(digest.String(), ":", "-", 1) }

// attached copies what refers to a manifest: by the API, by the fallback tag, by cosign's tags. What refers to
// those is copied too.
func (w *walk) attached(ctx context.Context, subject v1.Hash, depth int) error {
	if depth > maxDepth {
		return nil
	}
	found, err := w.referring(ctx, subject)
	if err != nil {
		return err
	}
	for _, one := range found {
		if w.found[one.Digest] {
			continue
		}
		w.found[one.Digest] = true
		m, err := w.Source.manifest(ctx, w.image, one.Digest.String())
		if errors.Is(err, errAbsent) {
			w.note("%s refers to it, and is not there", one.Digest)
			continue
		}
		if err != nil {
			return err
		}
		if err := w.attach(ctx, m, "", depth); err != nil {
			return err
		}
	}
	for _, suffix := range suffixes() {
		if err := w.tagged(ctx, fallbackTag(subject)+suffix, depth); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) attach(ctx context.Context, m manifest, tag string, depth int) error {
	var digests []v1.Hash
	if err := w.tree(ctx, m, tag, 0, &digests); err != nil {
		return err
	}
	w.Target.list(w.image, tag, m, false)
	w.result.Attached++
	return w.attached(ctx, m.digest, depth+1)
}

// referring joins what the API lists and what the fallback tag does: a registry that has the API by now may
// have had none before.
func (w *walk) referring(ctx context.Context, subject v1.Hash) ([]v1.Descriptor, error) {
	all, err := w.Source.referrers(ctx, w.image, subject)
	if err != nil && !w.withheld(err, "its referrers") {
		return nil, fmt.Errorf("ask for the referrers of %s: %w", subject, err)
	}
	m, err := w.Source.manifest(ctx, w.image, fallbackTag(subject))
	switch {
	case errors.Is(err, errAbsent) || err != nil && w.withheld(err, "its referrers"):
		return all, nil
	case err != nil:
		return nil, fmt.Errorf("read the tag %s: %w", fallbackTag(subject), err)
	}
	c, err := m.content()
	if err != nil {
		return nil, err
	}
	return append(all, c.Manifests...), nil
}

// tagged copies what is under a tag of cosign's. Another one in the target stays: it may be the customer's own
// signature.
func (w *walk) tagged(ctx context.Context, tag string, depth int) error {
	m, err := w.Source.manifest(ctx, w.image, tag)
	switch {
	case errors.Is(err, errAbsent) || err != nil && w.withheld(err, "its signatures"):
		return nil
	case err != nil:
		return fmt.Errorf("read the tag %s: %w", tag, err)
	}
	digest, there, err := w.Target.digest(ctx, w.image.Path, tag)
	if err != nil {
		return fmt.Errorf("look for the tag %s in the target: %w", tag, err)
	}
	if there && digest != m.digest {
		w.note("the target has another %s, which stays as it is", tag)
		return nil
	}
	return w.attach(ctx, m, tag, depth)
}

// withheld takes a refusal for an answer: a license that opens an image need not open its signatures.
func (w *walk) withheld(err error, what string) bool {
	if !errors.Is(err, errRefused) {
		return false
	}
	w.note("the registry refuses %s", what)
	return true
}

func (w *walk) note(format string, values ...any) {
	note := fmt.Sprintf(format, values...)
	for _, noted := range w.result.Notes {
		if noted == note {
			return
		}
	}
	w.result.Notes = append(w.result.Notes, note)
}
