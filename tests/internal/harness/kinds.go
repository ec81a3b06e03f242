// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
)

// Kind is a sort of registry that operators run.
type Kind struct {
	Name  string
	Start func(t testing.TB) *Registry
	// OnePage is a registry that cuts a list of tags at n without a Link to the rest.
	OnePage bool
}

// Kinds returns the registries that every client is tested against.
func Kinds() []Kind {
	return []Kind{
		{Name: "distribution v3 htpasswd", Start: func(t testing.TB) *Registry {
			return Distribution{Program: Tool(t, "registry"), Basic: true}.Start(t)
		}},
		{Name: "distribution v3 tokens", Start: func(t testing.TB) *Registry {
			tokens := NewTokens(t, 0)
			return tokens.Guard(Distribution{Program: Tool(t, "registry"), Token: tokens.Config(t)}.Start(t))
		}},
		{Name: "distribution v3 anonymous", Start: func(t testing.TB) *Registry {
			return Distribution{Program: Tool(t, "registry")}.Start(t)
		}},
		{Name: "distribution v3 htpasswd private CA", Start: func(t testing.TB) *Registry {
			certificates := NewCertificates(t)
			return Distribution{Program: Tool(t, "registry"), Basic: true, TLS: &certificates}.Start(t)
		}},
		{Name: "docker-registry 2.8 htpasswd", Start: func(t testing.TB) *Registry {
			return Distribution{Program: System(t, "docker-registry", "docker-registry"), Basic: true}.Start(t)
		}},
		{Name: "go-containerregistry anonymous", Start: InProcess, OnePage: true},
	}
}

// InProcess starts go-containerregistry's registry in the test, with referrers.
func InProcess(t testing.TB) *Registry {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true)))
	t.Cleanup(server.Close)
	return &Registry{Host: strings.TrimPrefix(server.URL, "http://")}
}
