// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"context"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/distribution"
	_ "github.com/docker/distribution/manifest/manifestlist" // registers how to read one
	_ "github.com/docker/distribution/manifest/ocischema"
	_ "github.com/docker/distribution/manifest/schema2"
	"github.com/docker/distribution/reference"
	dockerclient "github.com/docker/distribution/registry/client"
	"github.com/docker/distribution/registry/client/auth"
	"github.com/docker/distribution/registry/client/auth/challenge"
	"github.com/docker/distribution/registry/client/transport"
	godigest "github.com/opencontainers/go-digest"
	"github.com/regclient/regclient"
	"github.com/regclient/regclient/config"
	"github.com/regclient/regclient/types/ref"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/memory"
	"oras.land/oras-go/v2/registry/remote"
	orasauth "oras.land/oras-go/v2/registry/remote/auth"
)

// dockerCredentials are what "docker login" has stored. It asks for a refresh token, and may be given none.
type dockerCredentials struct {
	t  *testing.T
	id string
}

func (c dockerCredentials) Basic(*url.URL) (user, password string) {
	if c.id == "" {
		return "", ""
	}
	return "ops@acme.example", c.id
}
func (c dockerCredentials) RefreshToken(*url.URL, string) string { return "" }
func (c dockerCredentials) SetRefreshToken(_ *url.URL, _, token string) {
	c.t.Errorf("a refresh token was given out: %.4s…", token)
}

// dockerPull pulls as dockerd does: a ping, whose challenge is what every later request goes by. The library
// is of a version that has its grammar of references with it; the next one would take older versions of what
// the other clients here are made of.
func dockerPull(t *testing.T, image, id string) (string, error) {
	t.Helper()
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return "", err
	}
	base := "http://" + reference.Domain(named)
	repositoryName, err := reference.WithName(reference.Path(named))
	if err != nil {
		return "", err
	}
	direct := &http.Transport{}
	t.Cleanup(direct.CloseIdleConnections)
	ping, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/v2/", nil)
	if err != nil {
		return "", err
	}
	pong, err := direct.RoundTrip(ping)
	if err != nil {
		return "", err
	}
	_ = pong.Body.Close()
	challenges := challenge.NewSimpleManager()
	if err := challenges.AddResponse(pong); err != nil {
		return "", err
	}
	credentials := dockerCredentials{t, id}
	authorized := transport.NewTransport(direct, auth.NewAuthorizer(challenges,
		auth.NewTokenHandlerWithOptions(auth.TokenHandlerOptions{
			Transport: direct, Credentials: credentials, OfflineAccess: true, ClientID: "docker",
			Scopes: []auth.Scope{auth.RepositoryScope{Repository: repositoryName.Name(), Actions: []string{"pull"}}},
		}),
		auth.NewBasicHandler(credentials)))
	repository, err := dockerclient.NewRepository(repositoryName, base, authorized)
	if err != nil {
		return "", err
	}
	manifests, err := repository.Manifests(t.Context())
	if err != nil {
		return "", err
	}
	var got distribution.Manifest
	if digested, ok := named.(reference.Digested); ok {
		got, err = manifests.Get(t.Context(), digested.Digest())
	} else {
		got, err = manifests.Get(t.Context(), "", distribution.WithTag(named.(reference.Tagged).Tag()))
	}
	if err != nil {
		return "", err
	}
	_, payload, err := got.Payload()
	if err != nil {
		return "", err
	}
	for _, each := range got.References() {
		if strings.Contains(each.MediaType, "manifest") {
			if _, err := manifests.Get(t.Context(), each.Digest); err != nil {
				return "", err
			}
			continue
		}
		content, err := repository.Blobs(t.Context()).Get(t.Context(), each.Digest)
		if err != nil {
			return "", err
		}
		if digest := godigest.FromBytes(content); digest != each.Digest {
			t.Errorf("the blob %s arrived as %s", each.Digest, digest)
		}
	}
	return godigest.FromBytes(payload).String(), nil
}

// orasRepository knows the license.
func orasRepository(t *testing.T, image, id string) (*remote.Repository, error) {
	t.Helper()
	repository, err := remote.NewRepository(image)
	if err != nil {
		return nil, err
	}
	repository.PlainHTTP = true
	repository.Client = &orasauth.Client{Client: http.DefaultClient, Cache: orasauth.NewCache(), Credential: func(context.Context, string) (orasauth.Credential, error) {
		if id == "" {
			return orasauth.EmptyCredential, nil
		}
		return orasauth.Credential{Username: "ops@acme.example", Password: id}, nil
	}}
	return repository, nil
}

func orasPull(t *testing.T, image, id string) (string, error) {
	t.Helper()
	repository, err := orasRepository(t, image, id)
	if err != nil {
		return "", err
	}
	root, err := oras.Copy(t.Context(), repository, repository.Reference.Reference, memory.New(), "", oras.DefaultCopyOptions)
	return root.Digest.String(), err
}

func regclientPull(t *testing.T, image, id string) (string, error) {
	t.Helper()
	from, err := ref.New(image)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(t.TempDir(), "image")
	to, err := ref.New("ocidir://" + dir + ":v1")
	if err != nil {
		return "", err
	}
	registry := config.Host{Name: host(image), Hostname: host(image), TLS: config.TLSDisabled}
	if id != "" {
		registry.User, registry.Pass = "ops@acme.example", id
	}
	client := regclient.New(regclient.WithConfigHost(registry))
	if err := client.ImageCopy(t.Context(), from, to); err != nil {
		return "", err
	}
	if err := client.Close(t.Context(), to); err != nil {
		return "", err
	}
	return layoutDigest(dir)
}
