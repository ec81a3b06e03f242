// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Registry is the customer's own.
type Registry struct {
	repository string // host and path that all names begin with
	puller     *remote.Puller
	pusher     *remote.Pusher
	written    sync.Map // repositories by the digest of a blob that is there
}

// NewRegistry writes to a registry, with the credential that keychain has for it.
func NewRegistry(repository string, keychain authn.Keychain, base http.RoundTripper, concurrency int) (*Registry, error) {
	options := []remote.Option{remote.WithAuthFromKeychain(keychain), remote.WithTransport(base), remote.WithJobs(concurrency)}
	puller, pullErr := remote.NewPuller(options...)
	pusher, pushErr := remote.NewPusher(options...)
	if err := errors.Join(pullErr, pushErr); err != nil {
		return nil, fmt.Errorf("set up the registry: %w", err)
	}
	return &Registry{repository: repository, puller: puller, pusher: pusher}, nil
}

func (r *Registry) place(path string) (name.Repository, error) {
	repository, err := name.NewRepository(r.repository + "/" + path)
	if err != nil {
		return repository, fmt.Errorf("no registry takes this name below --to: %w", err)
	}
	return repository, nil
}

func (r *Registry) digest(ctx context.Context, path, reference string) (v1.Hash, bool, error) {
	repository, err := r.place(path)
	if err != nil {
		return v1.Hash{}, false, err
	}
	got, err := r.puller.Head(ctx, identify(repository, reference))
	err = answered(repository.RegistryStr(), err)
	switch {
	case errors.Is(err, errAbsent):
		return v1.Hash{}, false, nil
	case errors.Is(err, errRefused):
		// Some registries refuse to say that a repository does not exist yet. Writing to it tells.
		return v1.Hash{}, false, nil
	case err != nil:
		return v1.Hash{}, false, err
	}
	return got.Digest, true, nil
}

func (r *Registry) putBlob(ctx context.Context, path string, blob v1.Descriptor, open func() (io.ReadCloser, error)) (bool, error) {
	repository, err := r.place(path)
	if err != nil {
		return false, err
	}
	layer := &layer{descriptor: blob, open: open}
	var upload v1.Layer = layer
	if from, ok := r.written.Load(blob.Digest); ok && from != repository {
		// The registry may take it from there, and then nothing has to be sent.
		upload = &remote.MountableLayer{Layer: layer, Reference: from.(name.Repository).Digest(blob.Digest.String())}
	}
	if err := r.pusher.Upload(ctx, repository, upload); err != nil {
		return false, layer.failed(refused(repository, err))
	}
	r.written.Store(blob.Digest, repository)
	return layer.sent(), nil
}

func (r *Registry) putManifest(ctx context.Context, path, tag string, m manifest) error {
	repository, err := r.place(path)
	if err != nil {
		return err
	}
	reference := tag
	if tag == "" {
		reference = m.digest.String()
	}
	return refused(repository, r.pusher.Put(ctx, identify(repository, reference), m))
}

// refused says what to do about a registry that wants another credential.
func refused(repository name.Repository, err error) error {
	host := repository.RegistryStr()
	err = answered(host, err)
	if errors.Is(err, errRefused) {
		return fmt.Errorf("%w; docker login %s with an account that may push there", err, host)
	}
	return err
}

// list does nothing: a registry knows what it has.
func (*Registry) list(Image, string, manifest, bool) {}

// layer lets go-containerregistry upload a blob of any kind.
type layer struct {
	descriptor v1.Descriptor
	open       func() (io.ReadCloser, error)

	mu     sync.Mutex // what sends the blob may read on for a moment after it has failed
	opened bool
	err    error
}

// Digest implements [v1.Layer], as do the others.
func (l *layer) Digest() (v1.Hash, error) { return l.descriptor.Digest, nil }

// DiffID is not asked for.
func (l *layer) DiffID() (v1.Hash, error) { return v1.Hash{}, errors.ErrUnsupported }

// Uncompressed is not asked for.
func (l *layer) Uncompressed() (io.ReadCloser, error) { return nil, errors.ErrUnsupported }

// Size is the descriptor's.
func (l *layer) Size() (int64, error) { return l.descriptor.Size, nil }

// MediaType is the descriptor's.
func (l *layer) MediaType() (types.MediaType, error) { return l.descriptor.MediaType, nil }

// Compressed opens the blob as it is stored.
func (l *layer) Compressed() (io.ReadCloser, error) {
	content, err := l.open()
	l.note(err)
	if err != nil {
		return nil, err
	}
	return &reading{content, l}, nil
}

// note remembers that the blob was opened, and what was wrong with its reading.
func (l *layer) note(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opened, l.err = true, err
}

func (l *layer) sent() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.opened
}

// failed prefers what was wrong with the reading: the registry's error is only that the upload broke off.
func (l *layer) failed(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	return err
}

// reading remembers why it ended.
type reading struct {
	io.ReadCloser
	layer *layer
}

// Read implements [io.Reader].
func (r *reading) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.layer.note(err)
	}
	return n, err
}
