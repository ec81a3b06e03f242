// SPDX-License-Identifier: Apache-2.0

package push

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Straight pushes img to a registry of the developer's own, past the proxy, with the credential of the
// developer's docker config (spec-local-source-proxy, "Bypass"). destination is an image without digest;
// progress may be nil.
func Straight(ctx context.Context, destination string, img v1.Image, transport http.RoundTripper, progress func(done, total int64)) (Result, error) {
	tag, err := name.NewTag(destination)
	if err != nil {
		return Result{}, fmt.Errorf("image %q: not a valid image name: %w", destination, err)
	}
	digest, err := img.Digest()
	if err != nil {
		return Result{}, fmt.Errorf("describe the image: %w", err)
	}
	result := Result{Repository: tag.Context().Name(), Tag: tag.TagStr(), Digest: digest.String()}
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain),
		remote.WithTransport(transport)}
	if there, err := remote.Head(tag, options...); err == nil && there.Digest == digest {
		result.Unchanged = true
		return result, nil
	}
	updates := make(chan v1.Update, 16)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		for u := range updates { // Write closes it
			if progress != nil && u.Error == nil {
				progress(u.Complete, u.Total)
			}
			result.Uploaded = u.Complete
		}
	}()
	err = remote.Write(tag, img, append(options, remote.WithProgress(updates))...)
	<-finished
	if err != nil {
		return Result{}, fmt.Errorf("push to %s with your own credential: %w", tag.Context().Name(), err)
	}
	kept := tag.Context().Tag(strings.Replace(digest.String(), ":", "-", 1) + ".imgpkg")
	if err := remote.Tag(kept, img, options...); err != nil {
		return Result{}, fmt.Errorf("push to %s with your own credential: %w", tag.Context().Name(), err)
	}
	return result, nil
}
