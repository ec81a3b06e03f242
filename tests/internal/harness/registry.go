// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Repository is the path on the upstream registry that "source" stands for.
const Repository = "team-a/project/source-code"

// The operator's account on the registries of the tests. The values are easy to find in a log that leaks
// them.
const (
	Username = "robot-of-the-operator"
	Password = "operators-secret-password"
)

// Registry is an upstream: where it is, and what the operator knows about it.
type Registry struct {
	// Host is the address as it stands in an image reference.
	Host string
	// CA is the PEM bundle that its certificate needs; empty for plain HTTP.
	CA []byte
	// Username and Password are the operator's; empty for a registry without authentication.
	Username, Password string
	// Secrets returns what must never be seen in a log or a metric, beside the password.
	Secrets func() []string
	// Process is the registry's, nil for one inside the test.
	Process *Process

	htpasswd string
}

// Reference names a tag or digest of [Repository], on the registry itself.
func (r *Registry) Reference(t testing.TB, identifier string) name.Reference {
	t.Helper()
	return Reference(t, r.Host, Repository, identifier)
}

// Reference parses an image name; the identifier is a tag or a digest.
func Reference(t testing.TB, host, repository, identifier string) name.Reference {
	t.Helper()
	repo, err := name.NewRepository(host+"/"+repository, name.StrictValidation)
	if err != nil {
		t.Fatal(err)
	}
	if len(identifier) > 7 && identifier[:7] == "sha256:" {
		return repo.Digest(identifier)
	}
	return repo.Tag(identifier)
}

// URL returns the address of a path on the registry.
func (r *Registry) URL(path string) string {
	if len(r.CA) > 0 {
		return "https://" + r.Host + path
	}
	return "http://" + r.Host + path
}

// Transport trusts the registry's CA.
func (r *Registry) Transport(t testing.TB) *http.Transport {
	t.Helper()
	transport := &http.Transport{}
	if len(r.CA) > 0 {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(r.CA) {
			t.Fatal("the registry's CA is not PEM")
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// Options let go-containerregistry speak to the registry directly, as the operator.
func (r *Registry) Options(t testing.TB) []remote.Option {
	t.Helper()
	auth := authn.Anonymous
	if r.Username != "" {
		auth = &authn.Basic{Username: r.Username, Password: r.Password}
	}
	return []remote.Option{
		remote.WithContext(t.Context()), remote.WithAuth(auth), remote.WithTransport(r.Transport(t)),
	}
}

// DockerConfig returns a docker config.json with the operator's credential.
func (r *Registry) DockerConfig(t testing.TB) []byte {
	t.Helper()
	return DockerConfig(t, r.Host, r.Username, r.Password)
}

// DockerConfig returns a docker config.json with one credential.
func DockerConfig(t testing.TB, host, username, password string) []byte {
	t.Helper()
	config, err := json.Marshal(map[string]any{"auths": map[string]any{host: map[string]any{
		"auth": base64.StdEncoding.EncodeToString([]byte(username + ":" + password)),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// secrets lists every form in which the operator's credential could leak.
func (r *Registry) secrets() []string {
	var all []string
	if r.Password != "" {
		all = append(all, r.Password, base64.StdEncoding.EncodeToString([]byte(r.Username+":"+r.Password)))
	}
	if r.Secrets != nil {
		all = append(all, r.Secrets()...)
	}
	return all
}
