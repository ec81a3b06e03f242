// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/sync/errgroup"
)

// Verdict is what became known about an image.
type Verdict string

// Private wants credentials. Public has the image for everybody, or for the
// credential it was asked with. Unreachable did not answer with a manifest, nor with a reason. Missing
// answered that there is no such image, which a registry may also say of what is private.
const (
	Private     Verdict = "private"
	Public      Verdict = "public"
	Unreachable Verdict = "unreachable"
	Missing     Verdict = "missing"
)

// Answer is a verdict and the reason for it, in half a sentence.
type Answer struct {
	Verdict Verdict
	Reason  string
	// Vague says that all is forbidden there, as it is by web servers that are no registry.
	Vague bool
	// Kept says that the image keeps its name all the same, because the proxy does not have it either.
	Kept bool
}

// Closed reports whether the image cannot be had without credentials, as far as anybody can tell: everything
// but a manifest means so.
func (a Answer) Closed() bool { return a.Verdict != "" && a.Verdict != Public && !a.Kept }

// atOnce is how many registries are asked at the same time.
const atOnce = 8

// Asker asks registries.
type Asker struct {
	// Timeout bounds one question.
	Timeout time.Duration
	// Keychain is whose credentials are used; nil: nobody's.
	Keychain authn.Keychain
	// Transport reaches the registries; nil: go-containerregistry's.
	Transport http.RoundTripper
	// Progress is called after each answer; it must be safe for concurrent use. nil: nobody is told.
	Progress func(done, total int)
}

// Ask returns an answer for each image. The only error is that ctx ended.
func (a Asker) Ask(ctx context.Context, images []string) (map[string]Answer, error) {
	answers := make(map[string]Answer, len(images))
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, image := range images {
		group.Go(func() error {
			answer := a.one(ctx, image)
			mu.Lock()
			defer mu.Unlock()
			answers[image] = answer
			if a.Progress != nil {
				a.Progress(len(answers), len(images))
			}
			return nil
		})
	}
	_ = group.Wait() // no question returns an error
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("ask the registries: %w", err)
	}
	return answers, nil
}

func (a Asker) one(ctx context.Context, image string) Answer {
	ref, err := name.ParseReference(image)
	if err != nil {
		return Answer{Verdict: Unreachable, Reason: "not a valid image name"}
	}
	ctx, cancel := context.WithTimeout(ctx, a.Timeout)
	defer cancel()
	options := []remote.Option{remote.WithContext(ctx), remote.WithRetryBackoff(remote.Backoff{Steps: 1})}
	if a.Keychain != nil {
		options = append(options, remote.WithAuthFromKeychain(a.Keychain))
	}
	if a.Transport != nil {
		options = append(options, remote.WithTransport(a.Transport))
	}
	err = look(ref, options)
	if err == nil && a.knows(ctx, ref) {
		return Answer{Verdict: Public, Reason: "opened with the docker config's credential"}
	}
	return a.judge(ref, err)
}

// knows reports whether the question was asked with a credential, of which the answer tells about its owner
// alone.
func (a Asker) knows(ctx context.Context, ref name.Reference) bool {
	if a.Keychain == nil {
		return false
	}
	credential, err := authn.Resolve(ctx, a.Keychain, ref.Context())
	return err == nil && credential != authn.Anonymous
}

// noManifest is what a registry, or whatever stands in its place, answers instead of one.
type noManifest struct{ mediaType string }

func (n noManifest) Error() string {
	return "the answer is no manifest but " + cmp.Or(printable(n.mediaType), "something without a type")
}

// look asks for a manifest. HEAD is what registries with a rate limit do not count. Some answer it without a
// digest, and then GET tells more (quirk D2).
func look(ref name.Reference, options []remote.Option) error {
	head, err := remote.Head(ref, options...)
	if err == nil && (head.MediaType.IsImage() || head.MediaType.IsIndex() || head.MediaType.IsSchema1()) || refused(err) {
		return err
	}
	got, err := remote.Get(ref, options...)
	if err != nil {
		return err
	}
	var manifest struct {
		SchemaVersion int    `json:"schemaVersion"`
		MediaType     string `json:"mediaType"`
	}
	if json.Unmarshal(got.Manifest, &manifest) != nil || manifest.SchemaVersion == 0 && manifest.MediaType == "" {
		mediaType, _, _ := strings.Cut(string(got.MediaType), ";")
		return noManifest{mediaType}
	}
	return nil
}

// refused reports whether the registry itself wants credentials.
func refused(err error) bool {
	said, ok := errors.AsType[*transport.Error](err)
	return ok && slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden}, said.StatusCode)
}

func (a Asker) judge(ref name.Reference, err error) Answer {
	said, answered := errors.AsType[*transport.Error](err)
	switch {
	case err == nil:
		return Answer{Verdict: Public, Reason: "the registry gives it to everybody"}
	case answered && said.StatusCode == http.StatusUnauthorized:
		return Answer{Verdict: Private, Reason: "the registry wants credentials (401)"}
	case answered && said.StatusCode == http.StatusForbidden:
		return Answer{Verdict: Private, Reason: "the registry forbids it without credentials (403)", Vague: ofRoot(said.Request)}
	case answered && said.StatusCode == http.StatusNotFound && ofManifest(ref, said.Request):
		return Answer{Verdict: Missing, Reason: "the registry has no such image for everybody (404)"}
	case answered && !ofManifest(ref, said.Request):
		return Answer{Verdict: Unreachable, Reason: fmt.Sprintf("the registry's way in answers %d %s",
			said.StatusCode, http.StatusText(said.StatusCode))}
	case answered:
		return Answer{Verdict: Unreachable,
			Reason: fmt.Sprintf("the registry answers %d %s", said.StatusCode, http.StatusText(said.StatusCode))}
	case errors.Is(err, context.DeadlineExceeded):
		return Answer{Verdict: Unreachable, Reason: "no answer within " + a.Timeout.String()}
	default:
		return Answer{Verdict: Unreachable, Reason: cause(err)}
	}
}

// ofManifest reports whether a request was for the manifest, and not for the API's root, a token, or what a
// redirect leads to: what those answer says nothing about the image.
func ofManifest(ref name.Reference, request *http.Request) bool {
	return request == nil ||
		request.URL.Path == "/v2/"+ref.Context().RepositoryStr()+"/manifests/"+ref.Identifier()
}

// ofRoot reports whether a request was for the API's root.
func ofRoot(request *http.Request) bool { return request != nil && request.URL.Path == "/v2/" }

// cause leaves out the URL, which says nothing that the image's name does not.
func cause(err error) string {
	if network, ok := errors.AsType[*net.OpError](err); ok {
		return "no answer: " + network.Error()
	}
	if other, ok := errors.AsType[noManifest](err); ok {
		return other.Error()
	}
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return "no usable answer: " + err.Error()
}
