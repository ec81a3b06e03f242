// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

// Bounds on what a registry may answer.
const (
	maxReferrers = 4 << 20 // bytes of one page of referrers
	maxPages     = 100
)

// License is shown to its hosts, and to no other host whatever they say.
type License struct {
	ID string
	// Hosts are the image proxy's, and that of a registry that takes the same license.
	Hosts []string
}

// Registries are where images are read.
type Registries struct {
	license   License
	keychain  authn.Keychain
	transport http.RoundTripper
	puller    *remote.Puller
	clients   sync.Map // of requests that go-containerregistry has no call for, by repository
}

// NewRegistries reads from registries. keychain has the credentials for those that do not take the license; nil:
// they are asked without any.
func NewRegistries(shown License, keychain authn.Keychain, base http.RoundTripper, concurrency int) (*Registries, error) {
	r := &Registries{license: shown, keychain: keychain}
	r.transport = guard{base, shown}
	var err error
	r.puller, err = remote.NewPuller(remote.WithAuthFromKeychain(r), remote.WithTransport(r.transport), remote.WithJobs(concurrency))
	if err != nil {
		return nil, fmt.Errorf("set up the registries: %w", err)
	}
	return r, nil
}

// Resolve implements [authn.Keychain].
func (r *Registries) Resolve(resource authn.Resource) (authn.Authenticator, error) {
	if r.license.opens(resource.RegistryStr()) {
		return &authn.Basic{Username: license.Username, Password: r.license.ID}, nil
	}
	if r.keychain == nil {
		return authn.Anonymous, nil
	}
	return r.keychain.Resolve(resource)
}

func (l License) opens(host string) bool {
	for _, one := range l.Hosts {
		if one == host {
			return true
		}
	}
	return false
}

// guard keeps the license from every other host: a challenge may name a token server anywhere.
type guard struct {
	http.RoundTripper
	license License
}

// RoundTrip implements [http.RoundTripper].
func (g guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, password, _ := r.BasicAuth(); password == g.license.ID && password != "" && !g.license.opens(r.URL.Host) {
		return nil, fmt.Errorf("%s asks for the license, which is for %v alone", r.URL.Host, g.license.Hosts)
	}
	return g.RoundTripper.RoundTrip(r)
}

// Ended reports whether a refusal is one of the license itself, and not of one image: then every other image is
// refused too.
func (r *Registries) Ended(ctx context.Context, err error) bool {
	if !errors.Is(err, errRefused) || r.license.ID == "" {
		return false
	}
	registry, parseErr := name.NewRegistry(r.license.Hosts[0])
	if parseErr != nil {
		return false
	}
	request, requestErr := http.NewRequestWithContext(ctx, http.MethodGet, registry.Scheme()+"://"+registry.RegistryStr()+"/v2/", nil)
	if requestErr != nil {
		return false
	}
	request.SetBasicAuth(license.Username, r.license.ID)
	response, askErr := r.transport.RoundTrip(request)
	if askErr != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden
}

func (r *Registries) manifest(ctx context.Context, image Image, reference string) (manifest, error) {
	got, err := r.puller.Get(ctx, identify(image.From, reference))
	if err != nil {
		return manifest{}, answered(image.From.RegistryStr(), err)
	}
	return manifest{got.Manifest, got.MediaType, got.Digest}, nil
}

// identify names a tag or digest of a repository.
func identify(repository name.Repository, reference string) name.Reference {
	if _, err := v1.NewHash(reference); err == nil {
		return repository.Digest(reference)
	}
	return repository.Tag(reference)
}

func (r *Registries) blob(ctx context.Context, image Image, blob v1.Descriptor) (io.ReadCloser, error) {
	layer, err := r.puller.Layer(ctx, image.From.Digest(blob.Digest.String()))
	if err != nil {
		return nil, answered(image.From.RegistryStr(), err)
	}
	content, err := layer.Compressed()
	if err != nil {
		return nil, answered(image.From.RegistryStr(), err)
	}
	return content, nil
}

// referrers asks the API, page by page, which go-containerregistry does not. A registry without it has none
// there.
func (r *Registries) referrers(ctx context.Context, image Image, subject v1.Hash) ([]v1.Descriptor, error) {
	client, err := r.client(ctx, image.From)
	if err != nil {
		return nil, answered(image.From.RegistryStr(), err)
	}
	at := &url.URL{
		Scheme: image.From.Scheme(), Host: image.From.RegistryStr(),
		Path: "/v2/" + image.From.RepositoryStr() + "/referrers/" + subject.String(),
	}
	var all []v1.Descriptor
	for range maxPages {
		page, next, err := referrersPage(ctx, client, at)
		if err != nil {
			return nil, answered(image.From.RegistryStr(), err)
		}
		all = append(all, page...)
		if next == "" {
			return all, nil
		}
		at.RawQuery = next
	}
	return nil, fmt.Errorf("%s has more than %d pages of referrers", image.From.RegistryStr(), maxPages)
}

func referrersPage(ctx context.Context, client *http.Client, at *url.URL) (page []v1.Descriptor, next string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, "", err
	}
	request.Header.Set("Accept", string(types.OCIImageIndex))
	response, err := client.Do(request)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	none := []int{http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable}
	if err := transport.CheckError(response, append(none, http.StatusOK)...); err != nil {
		return nil, "", err
	}
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != string(types.OCIImageIndex) {
		return nil, "", nil
	}
	var index v1.IndexManifest
	if err := json.NewDecoder(io.LimitReader(response.Body, maxReferrers)).Decode(&index); err != nil {
		return nil, "", fmt.Errorf("read the referrers: %w", err)
	}
	next, _ = oci.NextLink(response.Header)
	return index.Manifests, next, nil
}

func (r *Registries) client(ctx context.Context, repository name.Repository) (*http.Client, error) {
	if client, ok := r.clients.Load(repository); ok {
		return client.(*http.Client), nil
	}
	auth, err := r.Resolve(repository)
	if err != nil {
		return nil, err
	}
	authorized, err := transport.NewWithContext(ctx, repository.Registry, auth, r.transport, []string{repository.Scope(transport.PullScope)})
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: authorized}
	r.clients.Store(repository, client)
	return client, nil
}
