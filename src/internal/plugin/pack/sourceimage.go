// SPDX-License-Identifier: Apache-2.0

// Package pack makes a container image of one layer out of a source tree.
//
// A supply chain wants a developer's files as an image, and wants to see at once whether they changed. So the
// package makes the same image from the same tree: entries are sorted, times are zero, owners are nobody's,
// and of the permissions only the owner's are kept. It is the image that imgpkg and the Apps CLI make, to the
// digest. Two pushes of one tree have one digest, whoever packs it, where, when and with which of the three.
//
// The package refuses to guess. A link, unless links are followed, a device, a file that changes while it is
// read, an archive with unclean names and a tree without files are errors that name the entry. So is a source
// that is larger than its limits. The package knows no registry and sends nothing.
package pack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// DefaultExcludeFile is the exclude file that is obeyed when it exists and no other is named.
const DefaultExcludeFile = ".tanzuignore"

// Options say what to pack and where to keep it meanwhile. The zero value packs everything but ".git".
type Options struct {
	// ExcludeFile is the name of files with patterns (gitignore(5)), one in each directory that needs one.
	// With a slash it is the path, relative to the root, of the only one. Empty: none.
	ExcludeFile string
	// ExcludeFileOptional accepts that ExcludeFile does not exist.
	ExcludeFileOptional bool
	// FollowLinks stores what symbolic links lead to. Otherwise they are refused, because imgpkg drops them
	// when it unpacks.
	FollowLinks bool
	// TempDir holds the packed layer until Close; empty means the system's directory for temporary files.
	TempDir string
	// Annotations are for the image's manifest. Docker's manifests have none, so an image with some is an OCI
	// image, and has another digest. Its blobs are the same.
	Annotations map[string]string
}

// Image is a packed source tree. Close must be called; it frees the disk space.
type Image struct {
	v1.Image
	// Files is the number of files in the tree; directories are not counted.
	Files int
	// Bytes is the size of the files before compression.
	Bytes int64
	// Notice is a line for the developer when the Apps CLI would choose other files; else empty.
	Notice string

	layer *layer
}

// Close removes the packed layer from the disk.
func (i *Image) Close() error { return i.layer.close() }

// ErrNothingToPack says that a tree has no file, or that all of its files are excluded.
var ErrNothingToPack = errors.New("no files to push")

// Pack packs the directory, zip or jar at path. The layer goes to a temporary file, so that memory does not
// grow with the tree.
func Pack(ctx context.Context, path string, opts Options) (*Image, error) {
	src, err := open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	entries, notice, err := list(ctx, src, path, opts)
	if err != nil {
		return nil, err
	}
	if entries, err = withoutLinks(ctx, entries, opts.FollowLinks); err != nil {
		return nil, fmt.Errorf("source %s: %w", path, err)
	}
	img := &Image{Notice: notice}
	if img.Bytes, err = total(entries); err != nil {
		return nil, fmt.Errorf("source %s: %w", path, err)
	}
	for _, e := range entries {
		if e.kind == file {
			img.Files++
		}
	}
	if img.Files == 0 {
		return nil, fmt.Errorf("source %s: %w: it is empty, or %s excludes all of it", path, ErrNothingToPack,
			nameOr(opts.ExcludeFile, "the default"))
	}
	if img.layer, err = writeLayer(ctx, entries, opts.TempDir); err != nil {
		return nil, fmt.Errorf("source %s: %w", path, err)
	}
	if img.Image, err = describe(img.layer, opts.Annotations); err != nil {
		return nil, errors.Join(fmt.Errorf("source %s: describe the image: %w", path, err), img.layer.close())
	}
	return img, nil
}

// describe makes the image of its one layer.
func describe(l *layer, annotations map[string]string) (v1.Image, error) {
	base := empty.Image
	if len(annotations) > 0 {
		l.mediaType = types.OCILayer
		base = mutate.ConfigMediaType(mutate.MediaType(base, types.OCIManifestSchema1), types.OCIConfigJSON)
	}
	img, err := mutate.Append(base, mutate.Addendum{
		Layer:   l,
		History: v1.History{Author: "imgpkg", CreatedBy: "imgpkg"}, // part of the digest
	})
	if err != nil || len(annotations) == 0 {
		return img, err
	}
	annotated, ok := mutate.Annotations(img, annotations).(v1.Image)
	if !ok {
		return nil, errors.New("the library returned no image")
	}
	return annotated, nil
}

// source is where entries come from: a directory or an archive.
type source interface {
	// walk calls visit for every entry, a directory before what is in it. When visit answers false for a
	// directory, its content is left out.
	walk(ctx context.Context, visit func(entry) (bool, error)) error
	// readFile opens one file of the source by its slash-separated path; fs.ErrNotExist when there is none.
	readFile(path string) (io.ReadCloser, error)
	Close() error
}

func open(ctx context.Context, path string) (source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("source %s: %w; name a directory, zip or jar with --local-path", path, reason(err))
	}
	if info.IsDir() {
		return openDir(path)
	}
	return openZip(ctx, path)
}

// reason strips the operation and path from an error of package os, which the caller has named already.
func reason(err error) error {
	if pathErr, ok := errors.AsType[*os.PathError](err); ok {
		return pathErr.Err
	}
	return err
}

func nameOr(name, other string) string {
	if name == "" {
		return other
	}
	return name
}
