// SPDX-License-Identifier: Apache-2.0

package push

import (
	"bytes"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// blob is one thing to upload.
type blob struct {
	what   string // for errors
	digest string
	size   int64
	open   func() (io.ReadCloser, error)
}

func blobsOf(img v1.Image) ([]blob, error) {
	layers, err := img.Layers()
	if err != nil {
		return nil, fmt.Errorf("describe the image: %w", err)
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return nil, fmt.Errorf("describe the image: %w", err)
	}
	name, err := img.ConfigName()
	if err != nil {
		return nil, fmt.Errorf("describe the image: %w", err)
	}
	blobs := []blob{{
		what: "the image's description", digest: name.String(), size: int64(len(config)),
		open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(config)), nil },
	}}
	seen := map[string]bool{}
	for i, l := range layers {
		digest, err := l.Digest()
		if err != nil {
			return nil, fmt.Errorf("describe layer %d: %w", i+1, err)
		}
		size, err := l.Size()
		if err != nil {
			return nil, fmt.Errorf("describe layer %d: %w", i+1, err)
		}
		if seen[digest.String()] {
			continue
		}
		seen[digest.String()] = true
		what := "the source"
		if len(layers) > 1 {
			what = fmt.Sprintf("layer %d", i+1)
		}
		blobs = append(blobs, blob{what: what, digest: digest.String(), size: size, open: l.Compressed})
	}
	return blobs, nil
}

// from opens the blob at an offset.
func (b blob) from(offset int64) (io.ReadCloser, error) {
	r, err := b.open()
	if err != nil {
		return nil, &localError{fmt.Errorf("read %s: %w", b.what, err)}
	}
	if s, ok := r.(io.Seeker); ok {
		_, err = s.Seek(offset, io.SeekStart)
	} else {
		_, err = io.CopyN(io.Discard, r, offset)
	}
	if err != nil {
		r.Close()
		return nil, &localError{fmt.Errorf("read %s: %w", b.what, err)}
	}
	return r, nil
}
