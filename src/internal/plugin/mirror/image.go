// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"io"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Image is one to be copied.
type Image struct {
	// Name is how the application writes it, and Names are all its spellings there.
	Name  string
	Names []string
	// From is the repository that it is read from; a tar needs none.
	From name.Repository
	// Path is its repository below the target, such as quay.io/my-org/api.
	Path string
	// Tag and Digest are the application's. One of them is there.
	Tag, Digest string
}

// reference is how the image is asked for: the digest counts where there are both.
func (i Image) reference() string {
	if i.Digest != "" {
		return i.Digest
	}
	return i.Tag
}

// Reference is its name below the target.
func (i Image) Reference() string {
	if i.Tag != "" {
		return i.Path + ":" + i.Tag
	}
	return i.Path + "@" + i.Digest
}

// Result is what became of an image.
type Result struct {
	Image Image
	// Digest is what its name stands for.
	Digest string
	// Bytes are those that had to be copied, Attached the signatures and other referrers that it has now.
	Bytes    int64
	Attached int
	// Copied is false for an image that was there already.
	Copied bool
	// Notes are what the user has to know about it, in half a sentence each.
	Notes []string
	// Err is why it could not be copied.
	Err error
}

// manifest is one as it is stored.
type manifest struct {
	raw       []byte
	mediaType types.MediaType
	digest    v1.Hash
}

// RawManifest and MediaType let go-containerregistry send it as it is.
func (m manifest) RawManifest() ([]byte, error) { return m.raw, nil }

// MediaType implements what go-containerregistry looks for.
func (m manifest) MediaType() (types.MediaType, error) { return m.mediaType, nil }

func (m manifest) descriptor() v1.Descriptor {
	return v1.Descriptor{MediaType: m.mediaType, Digest: m.digest, Size: int64(len(m.raw))}
}

// Source is where images are read.
type Source interface {
	// manifest returns one by tag or digest, or errAbsent.
	manifest(ctx context.Context, image Image, reference string) (manifest, error)
	// referrers returns what refers to a manifest.
	referrers(ctx context.Context, image Image, subject v1.Hash) ([]v1.Descriptor, error)
	// blob opens one. Its end is an error when the content is not what the descriptor says.
	blob(ctx context.Context, image Image, blob v1.Descriptor) (io.ReadCloser, error)
}

// Target is where they go.
type Target interface {
	// digest returns what a tag or digest stands for; false where there is no such manifest.
	digest(ctx context.Context, path, reference string) (v1.Hash, bool, error)
	// putBlob writes a blob that open opens, as often as it takes. It reports whether it had to.
	putBlob(ctx context.Context, path string, blob v1.Descriptor, open func() (io.ReadCloser, error)) (bool, error)
	// putManifest writes a manifest under its digest, and under a tag where there is one.
	putManifest(ctx context.Context, path, tag string, m manifest) error
	// list remembers a manifest that no other names: an image of the application, or what refers to one.
	list(image Image, tag string, m manifest, isImage bool)
}
