// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/tokenserver"
)

// Tokens is a token server and what it handed out.
type Tokens struct {
	*tokenserver.Server

	realm  string
	mu     sync.Mutex
	issued []string
}

// Rights of the operator's account: everything below the repository's first segment.
func rights() []tokenserver.Scope {
	return []tokenserver.Scope{{Type: "repository", Name: "team-a/*", Actions: []string{"pull", "push", "delete"}}}
}

// NewTokens starts a token server on loopback that knows the operator. A lifetime of zero is some minutes.
func NewTokens(t testing.TB, lifetime time.Duration) *Tokens {
	t.Helper()
	tokens := &Tokens{}
	config := tokenserver.Config{
		Service: "registry of a test", ExpiresIn: lifetime,
		Users: map[string]tokenserver.User{Username: {Password: Password, Rights: rights()}},
	}
	if lifetime > 0 {
		// Without it, distribution takes a token a minute longer than it lives.
		config.Leeway = time.Minute
	}
	server, err := tokenserver.New(config)
	if err != nil {
		t.Fatal(err)
	}
	tokens.Server = server
	web := httptest.NewServer(tokens)
	t.Cleanup(web.Close)
	tokens.realm = named(web.URL) + "/token"
	return tokens
}

// SetPassword changes the operator's password; the old one is refused from now on.
func (s *Tokens) SetPassword(password string) {
	s.SetUser(Username, tokenserver.User{Password: password, Rights: rights()})
}

// ServeHTTP answers and keeps the token, so that it can be looked for in logs.
func (s *Tokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	recorder := httptest.NewRecorder()
	s.Server.ServeHTTP(recorder, r)
	var answer struct {
		Token        string `json:"token"`
		RefreshToken string `json:"refresh_token"`
	}
	if json.Unmarshal(recorder.Body.Bytes(), &answer) == nil {
		s.mu.Lock()
		for _, secret := range []string{answer.Token, answer.RefreshToken} {
			if secret != "" {
				s.issued = append(s.issued, secret)
			}
		}
		s.mu.Unlock()
	}
	for key, values := range recorder.Header() {
		w.Header()[key] = values
	}
	w.WriteHeader(recorder.Code)
	// A client that is gone has nothing to be told.
	_, _ = bytes.NewReader(recorder.Body.Bytes()).WriteTo(w)
}

// Issued returns every token that was handed out.
func (s *Tokens) Issued() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.issued...)
}

// Config is the auth.token section for a registry that trusts this token server.
func (s *Tokens) Config(t testing.TB) map[string]any {
	t.Helper()
	return map[string]any{
		"realm": s.realm, "service": "registry of a test", "issuer": s.Issuer(),
		"rootcertbundle": WriteFile(t, filepath.Join(t.TempDir(), "tokens.crt"), s.CertPEM()),
	}
}

// Guard makes a registry know the operator, whose password buys tokens here.
func (s *Tokens) Guard(registry *Registry) *Registry {
	registry.Host = named(registry.Host)
	registry.Username, registry.Password, registry.Secrets = Username, Password, s.Issued
	return registry
}

// named says localhost for the loopback address: go-containerregistry takes no realm with a private IP
// address.
func named(address string) string { return strings.Replace(address, "127.0.0.1", "localhost", 1) }
