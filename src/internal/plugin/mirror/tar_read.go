// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Archive is a complete tar that is read.
type Archive struct {
	file      *os.File
	blobs     blobs
	types     map[v1.Hash]types.MediaType // of manifests
	index     v1.IndexManifest
	names     map[string]v1.Descriptor
	referring map[string][]v1.Descriptor // by path and the digest of the subject
}

// OpenTar reads all of a tar: no blob of it is used before each is known to be what its name says, and each that
// a manifest names to be there.
func OpenTar(path string) (*Archive, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the tar: %w", err)
	}
	a := &Archive{file: file, types: map[v1.Hash]types.MediaType{}, names: map[string]v1.Descriptor{}, referring: map[string][]v1.Descriptor{}}
	if err := a.read(); err != nil {
		return nil, errors.Join(fmt.Errorf("read the tar %s: %w", path, err), file.Close())
	}
	return a, nil
}

// Close closes the file.
func (a *Archive) Close() error { return a.file.Close() }

func (a *Archive) read() error {
	info, err := a.file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is no regular file")
	}
	files := map[string][]byte{}
	a.blobs, _, err = scan(a.file, func(name string, content []byte) error {
		if name != layoutFile && name != indexFile || files[name] != nil {
			return fmt.Errorf("%s has no place in an image layout", name)
		}
		files[name] = content
		return nil
	})
	switch {
	case err != nil:
		return err
	case files[layoutFile] == nil:
		return errors.New("it is no OCI image layout: it has no file oci-layout")
	case files[indexFile] == nil:
		return errCut
	}
	if err := json.Unmarshal(files[indexFile], &a.index); err != nil {
		return fmt.Errorf("read its index: %w", err)
	}
	for _, entry := range a.index.Manifests {
		if err := a.enter(entry); err != nil {
			return err
		}
	}
	return nil
}

// enter takes in what the index names.
func (a *Archive) enter(entry v1.Descriptor) error {
	named := entry.Annotations[refName]
	path, _, pinned := strings.Cut(named, "@")
	if named == "" || !pinned && !strings.Contains(named, ":") {
		return fmt.Errorf("its index has %s under the name %q; kubectl lsp mirror --to-tar writes others", entry.Digest, named)
	}
	c, err := a.complete(entry, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", named, err)
	}
	a.names[named] = entry
	if pinned && c.Subject != nil && entry.Annotations[imageName] == "" {
		key := path + "@" + c.Subject.Digest.String()
		a.referring[key] = append(a.referring[key], entry)
	}
	return nil
}

// complete reports what is missing below a manifest.
func (a *Archive) complete(entry v1.Descriptor, depth int) (content, error) {
	a.types[entry.Digest] = entry.MediaType
	m, err := a.get(entry.Digest)
	if err != nil {
		return content{}, err
	}
	c, err := m.content()
	if err != nil || depth > maxDepth {
		return c, err
	}
	for _, child := range c.Manifests {
		if _, err := a.complete(child, depth+1); err != nil {
			return c, err
		}
	}
	for _, blob := range c.all() {
		at, there := a.blobs[blob.Digest]
		if !there || at.size != blob.Size {
			return c, fmt.Errorf("the tar lacks the blob %s", blob.Digest)
		}
	}
	return c, nil
}

func (a *Archive) get(digest v1.Hash) (manifest, error) {
	at, there := a.blobs[digest]
	if !there {
		return manifest{}, fmt.Errorf("the tar lacks the manifest %s", digest)
	}
	if at.size > maxManifest {
		return manifest{}, fmt.Errorf("the manifest %s is larger than %d MiB", digest, maxManifest>>20)
	}
	raw := make([]byte, at.size)
	if _, err := a.file.ReadAt(raw, at.offset); err != nil {
		return manifest{}, fmt.Errorf("read the manifest %s: %w", digest, err)
	}
	return manifest{raw, a.types[digest], digest}, nil
}

// Images are the application's, as they were copied into the tar.
func (a *Archive) Images() []Image {
	var all []Image
	for _, entry := range a.index.Manifests {
		named := entry.Annotations[imageName]
		if named == "" {
			continue
		}
		image := Image{Name: named}
		if path, digest, pinned := strings.Cut(named, "@"); pinned {
			image.Path, image.Digest = path, digest
		} else {
			at := strings.LastIndexByte(named, ':')
			image.Path, image.Tag = named[:at], named[at+1:]
		}
		all = append(all, image)
	}
	return all
}

// Has reports whether an image is in the tar, with the digest that it wants.
func (a *Archive) Has(image Image) bool {
	for _, name := range []string{image.Reference(), image.Path + "@" + image.Digest} {
		if entry, there := a.names[name]; there && (image.Digest == "" || image.Digest == entry.Digest.String()) {
			return true
		}
	}
	return false
}

func (a *Archive) manifest(_ context.Context, image Image, reference string) (manifest, error) {
	digest, err := v1.NewHash(reference)
	if err != nil {
		entry, there := a.names[image.Path+":"+reference]
		if !there {
			return manifest{}, errAbsent
		}
		digest = entry.Digest
	}
	return a.get(digest)
}

func (a *Archive) referrers(_ context.Context, image Image, subject v1.Hash) ([]v1.Descriptor, error) {
	return a.referring[image.Path+"@"+subject.String()], nil
}

func (a *Archive) blob(_ context.Context, _ Image, blob v1.Descriptor) (io.ReadCloser, error) {
	at, there := a.blobs[blob.Digest]
	if !there {
		return nil, fmt.Errorf("the tar lacks the blob %s", blob.Digest)
	}
	return io.NopCloser(io.NewSectionReader(a.file, at.offset, at.size)), nil
}
