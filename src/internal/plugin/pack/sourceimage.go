// SPDX-License-Identifier: Apache-2.0

// Package sourceimage packs a source tree into a container image of one layer.
//
// A supply chain wants a developer's files as an image, and wants to see at once whether they changed. So the package makes
// the same image from the same tree: entries are sorted, times are zero, owners are nobody's, and of the permissions only the
// owner's are kept, as imgpkg does (the tar stream of a tree without links is the one that imgpkg makes). Two pushes of one
// tree have one digest, whoever packs it, where and when.
//
// It refuses to guess: a link that leaves the tree, a device, a file that changes while it is read, an archive with unclean
// names and a tree without files are errors that name the entry. It knows no registry and sends nothing.
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
)

// DefaultExcludeFile is the exclude file that is obeyed when it exists and no other is named.
const DefaultExcludeFile = ".tanzuignore"

// Options say what to pack and where to keep it meanwhile. The zero value packs everything but ".git".
type Options struct {
	// ExcludeFile is the name, relative to the root of the tree, of a file with patterns in .gitignore syntax. Empty: none.
	ExcludeFile string
	// ExcludeFileOptional accepts that ExcludeFile does not exist.
	ExcludeFileOptional bool
	// TempDir holds the packed layer until Close; empty means the system's directory for temporary files.
	TempDir string
}

// Image is a packed source tree. Close must be called; it frees the disk space.
type Image struct {
	v1.Image
	// Files is the number of files and links in the tree; directories are not counted.
	Files int
	// Bytes is the size of the files before compression.
	Bytes int64

	layer *layer
}

// Close removes the packed layer from the disk.
func (i *Image) Close() error { return i.layer.close() }

// ErrNothingToPack says that a tree has no file, or that all of its files are excluded.
var ErrNothingToPack = errors.New("no files to push")

// Pack packs the directory, zip or jar at path. The layer goes to a temporary file, so that memory does not grow with the tree.
func Pack(ctx context.Context, path string, opts Options) (*Image, error) {
	src, err := open(path)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	entries, err := list(ctx, src, opts)
	if err != nil {
		return nil, err
	}
	if err := checkLinks(entries); err != nil {
		return nil, fmt.Errorf("source %s: %w", path, err)
	}
	img := &Image{}
	for _, e := range entries {
		if e.kind != directory {
			img.Files++
			img.Bytes += e.size
		}
	}
	if img.Files == 0 {
		return nil, fmt.Errorf("source %s: %w: it is empty, or %s excludes all of it", path, ErrNothingToPack, nameOr(opts.ExcludeFile, "the default"))
	}
	if img.layer, err = writeLayer(ctx, entries, opts.TempDir); err != nil {
		return nil, fmt.Errorf("source %s: %w", path, err)
	}
	img.Image, err = mutate.Append(empty.Image, mutate.Addendum{
		Layer:   img.layer,
		History: v1.History{Author: "kubectl-lsp", CreatedBy: "kubectl lsp push"},
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("source %s: describe the image: %w", path, err), img.layer.close())
	}
	return img, nil
}

// source is where entries come from: a directory or an archive.
type source interface {
	// walk calls visit for every entry, a directory before what is in it. When visit answers false for a directory, its
	// content is left out.
	walk(ctx context.Context, visit func(entry) (bool, error)) error
	// readFile opens one file of the source by its slash-separated path; fs.ErrNotExist when there is none.
	readFile(path string) (io.ReadCloser, error)
	Close() error
}

func open(path string) (source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("source %s: %w; name a directory, zip or jar with --local-path", path, reason(err))
	}
	if info.IsDir() {
		return openDir(path)
	}
	return openZip(path)
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
