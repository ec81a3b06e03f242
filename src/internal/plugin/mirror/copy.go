// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// maxDepth bounds how deep indexes of indexes, and referrers of referrers, may lie.
const maxDepth = 8

// Copier copies images.
type Copier struct {
	Source Source
	Target Target
	// Concurrency is how many blobs are under way at the same time.
	Concurrency int
	// Fatal reports whether an error is one that every other image will have too; nil: no error is.
	Fatal func(ctx context.Context, err error) bool
	// Progress is called with the bytes that are done and known; it must be safe for concurrent use. nil:
	// nobody is told.
	Progress func(done, total int64)
	// Finished is called after each image, one at a time. nil: nobody is told.
	Finished func(Result)
}

// Copy copies the images, and returns what became of each. The error is one that ended all.
func (c *Copier) Copy(ctx context.Context, images []Image) ([]Result, error) {
	run := &run{
		Copier: c, blobs: semaphore.NewWeighted(int64(c.Concurrency)), meter: &meter{tell: c.Progress},
	}
	results := make([]Result, len(images))
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(c.Concurrency)
	for i, image := range images {
		group.Go(func() error {
			if err := inner.Err(); err != nil {
				return err
			}
			results[i] = run.image(inner, image)
			if err := results[i].Err; err != nil && inner.Err() == nil && c.Fatal != nil && c.Fatal(inner, err) {
				return err
			}
			run.finished(results[i])
			return nil
		})
	}
	err := group.Wait()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return results, err
}

// run is one call of Copy.
type run struct {
	*Copier
	blobs *semaphore.Weighted
	meter *meter
	mu    sync.Mutex
}

func (r *run) finished(result Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Finished != nil {
		r.Finished(result)
	}
}

// image copies one, and what refers to it.
func (r *run) image(ctx context.Context, image Image) Result {
	w := &walk{run: r, image: image, seen: map[v1.Hash]bool{}, found: map[v1.Hash]bool{}, result: Result{Image: image}}
	if err := w.root(ctx); err != nil {
		w.result.Err = err
	}
	return w.result
}

// walk is the way through one image.
type walk struct {
	*run
	image  Image
	seen   map[v1.Hash]bool // manifests that are in the target
	found  map[v1.Hash]bool // referrers that were met
	mu     sync.Mutex       // guards the bytes of result
	result Result
}

func (w *walk) root(ctx context.Context) error {
	m, err := w.Source.manifest(ctx, w.image, w.image.reference())
	if errors.Is(err, errAbsent) {
		return errors.New("there is no such image")
	}
	if err != nil {
		return err
	}
	w.result.Digest = m.digest.String()
	var digests []v1.Hash
	if err := w.tree(ctx, m, w.image.Tag, 0, &digests); err != nil {
		return err
	}
	w.Target.list(w.image, w.image.Tag, m, true)
	for _, digest := range digests {
		if err := w.attached(ctx, digest, 0); err != nil {
			return fmt.Errorf("copy what refers to it: %w", err)
		}
	}
	return nil
}

// content is what a manifest names, whatever its kind.
type content struct {
	Config    *v1.Descriptor  `json:"config"`
	Layers    []v1.Descriptor `json:"layers"`
	Blobs     []v1.Descriptor `json:"blobs"`
	Manifests []v1.Descriptor `json:"manifests"`
	Subject   *v1.Descriptor  `json:"subject"`
	FSLayers  []any           `json:"fsLayers"`
}

func (m manifest) content() (content, error) {
	var c content
	if err := json.Unmarshal(m.raw, &c); err != nil {
		return c, fmt.Errorf("read the manifest %s: %w", m.digest, err)
	}
	if len(c.FSLayers) > 0 {
		return c, fmt.Errorf("the manifest %s has schema 1, which registries do not take any more", m.digest)
	}
	return c, nil
}

// all are the blobs, each once. What is not distributable is elsewhere, and its manifest says where.
func (c content) all() []v1.Descriptor {
	var all []v1.Descriptor
	seen := map[v1.Hash]bool{}
	add := func(blob v1.Descriptor) {
		if !seen[blob.Digest] && blob.MediaType.IsDistributable() {
			seen[blob.Digest] = true
			all = append(all, blob)
		}
	}
	for _, blob := range slices.Concat(c.Layers, c.Blobs) {
		add(blob)
	}
	if c.Config != nil {
		add(*c.Config)
	}
	return all
}

// tree copies a manifest and all below it, and adds their digests.
func (w *walk) tree(ctx context.Context, m manifest, tag string, depth int, digests *[]v1.Hash) error {
	if depth > maxDepth {
		return fmt.Errorf("the manifest %s lies more than %d indexes deep", m.digest, maxDepth)
	}
	c, err := m.content()
	if err != nil {
		return err
	}
	*digests = append(*digests, m.digest)
	there, err := w.there(ctx, m.digest)
	if err != nil {
		return err
	}
	if there {
		for _, child := range c.Manifests {
			*digests = append(*digests, child.Digest)
		}
	} else if err := w.below(ctx, c, depth, digests); err != nil {
		return err
	}
	return w.put(ctx, m, tag, there)
}

// there reports whether the target has a manifest, and with it all that it names.
func (w *walk) there(ctx context.Context, digest v1.Hash) (bool, error) {
	if w.seen[digest] {
		return true, nil
	}
	_, there, err := w.Target.digest(ctx, w.image.Path, digest.String())
	if err != nil {
		return false, fmt.Errorf("look for %s in the target: %w", digest, err)
	}
	w.seen[digest] = there
	return there, nil
}

// put writes a manifest, unless it is there, and its tag leads to it.
func (w *walk) put(ctx context.Context, m manifest, tag string, there bool) error {
	if there && tag != "" {
		digest, found, err := w.Target.digest(ctx, w.image.Path, tag)
		if err != nil {
			return fmt.Errorf("look for the tag %s in the target: %w", tag, err)
		}
		there = found && digest == m.digest
	}
	if there {
		return nil
	}
	if err := w.Target.putManifest(ctx, w.image.Path, tag, m); err != nil {
		return fmt.Errorf("write the manifest %s: %w", m.digest, err)
	}
	w.seen[m.digest] = true
	w.result.Copied = true
	return nil
}

// below copies what a manifest names: the blobs at the same time, the manifests one after the other.
func (w *walk) below(ctx context.Context, c content, depth int, digests *[]v1.Hash) error {
	for _, child := range c.Manifests {
		there, err := w.there(ctx, child.Digest)
		if err != nil {
			return err
		}
		if there {
			*digests = append(*digests, child.Digest)
			continue
		}
		m, err := w.Source.manifest(ctx, w.image, child.Digest.String())
		if err != nil {
			return fmt.Errorf("read the manifest %s: %w", child.Digest, err)
		}
		if err := w.tree(ctx, m, "", depth+1, digests); err != nil {
			return err
		}
	}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(w.Concurrency)
	for _, blob := range c.all() {
		w.meter.expect(blob.Size)
		group.Go(func() error { return w.blob(inner, blob) })
	}
	return group.Wait()
}

// blob copies one when there is a place for it.
func (w *walk) blob(ctx context.Context, blob v1.Descriptor) error {
	if err := w.blobs.Acquire(ctx, 1); err != nil {
		return err
	}
	defer w.blobs.Release(1)
	moved := &moved{meter: w.meter, size: blob.Size}
	copied, err := w.Target.putBlob(ctx, w.image.Path, blob, func() (io.ReadCloser, error) {
		content, err := w.Source.blob(ctx, w.image, blob)
		if err != nil {
			return nil, err
		}
		return moved.again(content), nil
	})
	moved.end(err == nil)
	if err != nil {
		return fmt.Errorf("copy the blob %s: %w", blob.Digest, err)
	}
	if copied {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.result.Bytes += blob.Size
	}
	return nil
}
