// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// layer is a gzipped tar in a temporary file. It implements [v1.Layer]; Compressed can seek, which continued
// uploads need.
type layer struct {
	file           *os.File
	size           int64
	digest, diffID v1.Hash
	mediaType      types.MediaType
}

// writeLayer packs the entries. The compressor and its level are imgpkg's, and the Apps CLI's, which is built
// of it: whoever packs a tree, the digest is the same.
func writeLayer(ctx context.Context, entries []entry, tempDir string) (_ *layer, err error) {
	f, err := os.CreateTemp(tempDir, "kubectl-lsp-*.tar.gz")
	if err != nil {
		return nil, fmt.Errorf("make room for the packed layer: %w", err)
	}
	l := &layer{file: f, mediaType: types.DockerLayer}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	if runtime.GOOS != "windows" {
		// Without a name, the space is given back however this process ends.
		if err := os.Remove(f.Name()); err != nil {
			return nil, fmt.Errorf("unlink the packed layer: %w", err)
		}
	}
	digest, diffID := sha256.New(), sha256.New()
	buffered := bufio.NewWriterSize(io.MultiWriter(f, digest), 1<<16)
	compressor, err := gzip.NewWriterLevel(buffered, gzip.BestSpeed)
	if err != nil {
		return nil, fmt.Errorf("start the compressor: %w", err)
	}
	if err := writeTar(ctx, io.MultiWriter(compressor, diffID), entries); err != nil {
		return nil, err
	}
	if err := errors.Join(compressor.Close(), buffered.Flush()); err != nil {
		return nil, fmt.Errorf("write the packed layer: %w", err)
	}
	if l.size, err = f.Seek(0, io.SeekCurrent); err != nil {
		return nil, fmt.Errorf("measure the packed layer: %w", err)
	}
	l.digest, l.diffID = sum(digest), sum(diffID)
	return l, nil
}

func writeTar(ctx context.Context, w io.Writer, entries []entry) error {
	tw := tar.NewWriter(w)
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := writeEntry(ctx, tw, e); err != nil {
			return fmt.Errorf("pack %s: %w", e.path, reason(err))
		}
	}
	if err := tw.Close(); err != nil {
		return fmt.Errorf("write the packed layer: %w", err)
	}
	return nil
}

var errChanged = errors.New("the file changed while it was read; push again when nothing writes to it")

func writeEntry(ctx context.Context, tw *tar.Writer, e entry) error {
	header := &tar.Header{Name: e.path, Mode: e.mode, Typeflag: tar.TypeReg, Size: e.size}
	if e.kind == directory {
		header.Typeflag = tar.TypeDir
		return tw.WriteHeader(header)
	}
	r, err := e.open()
	if err != nil {
		return fmt.Errorf("%w; make it readable or exclude it in %s", reason(err), DefaultExcludeFile)
	}
	defer r.Close()
	if err := tw.WriteHeader(header); err != nil {
		return err
	}
	switch _, err := io.Copy(tw, interruptible{ctx, r}); {
	case errors.Is(err, tar.ErrWriteTooLong):
		return errChanged
	case err != nil:
		return err
	}
	if err := tw.Flush(); err != nil {
		return errChanged
	}
	return nil
}

func sum(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
}

// Digest implements [v1.Layer].
func (l *layer) Digest() (v1.Hash, error) { return l.digest, nil }

// DiffID implements [v1.Layer].
func (l *layer) DiffID() (v1.Hash, error) { return l.diffID, nil }

// Size implements [v1.Layer].
func (l *layer) Size() (int64, error) { return l.size, nil }

// MediaType implements [v1.Layer]: Docker's, which old consumers know and new ones accept, unless the image
// has annotations.
func (l *layer) MediaType() (types.MediaType, error) { return l.mediaType, nil }

// Compressed implements [v1.Layer]. Each reader is independent of the others.
func (l *layer) Compressed() (io.ReadCloser, error) {
	return sectionCloser{io.NewSectionReader(l.file, 0, l.size)}, nil
}

// Uncompressed implements [v1.Layer].
func (l *layer) Uncompressed() (io.ReadCloser, error) {
	r, err := gzip.NewReader(io.NewSectionReader(l.file, 0, l.size))
	if err != nil {
		return nil, fmt.Errorf("read the packed layer: %w", err)
	}
	return r, nil
}

func (l *layer) close() error {
	err := l.file.Close()
	if runtime.GOOS == "windows" {
		err = errors.Join(err, os.Remove(l.file.Name()))
	}
	return err
}

type sectionCloser struct{ *io.SectionReader }

func (sectionCloser) Close() error { return nil }
