// SPDX-License-Identifier: Apache-2.0

// Package tokenserver is the token server that a registry with Bearer authentication sends its clients to.
//
// The demo and the black-box tests need a registry of the kind that people run: one that takes no password
// itself and asks for a signed token instead. This package answers as the distribution token specification
// says, for GET with Basic credentials and for POST with the OAuth2 grants "password" and "refresh_token",
// and remembers what it was asked so that a test can say "one token for many requests". It refuses what a
// client should not send: another service's name, a scope that does not parse, a grant that does not exist.
// It is not for production: users are held in memory in clear, and every request is remembered until Reset.
package tokenserver

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Config says who may do what, and how tokens look.
type Config struct {
	// Service is the registry's name, as in its challenge ("service=") and in the tokens' audience. Required.
	Service string
	// Issuer is written into every token; empty means Service + " tokens".
	Issuer string
	// Users by name.
	Users map[string]User
	// Anonymous is what a client without credentials may do. Empty: it is refused with 401.
	Anonymous []Scope
	// ExpiresIn is how long a token lives, rounded down to seconds; zero means 5 minutes.
	ExpiresIn time.Duration
	// Leeway is taken off the signed times. Registries tolerate a clock that is wrong by some seconds
	// (distribution: 60), so a token that must really end after ExpiresIn has to be signed with an earlier
	// end.
	Leeway time.Duration
	// Algorithm is ES256 or RS256 (RFC 7518); empty means ES256.
	Algorithm string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// User is one account.
type User struct {
	Password string
	// RefreshToken is accepted for the grant "refresh_token" from the start, as an "identitytoken" of a
	// docker config is. Others are handed out to clients that ask for offline access.
	RefreshToken string
	// Rights is what the user may do; a token never carries more.
	Rights []Scope
}

// Request is one request to the server, without any secret.
type Request struct {
	Method string
	// Grant is "basic" or "anonymous" for GET, and the grant_type for POST.
	Grant string
	// User is the account the client named; empty for an anonymous client and for an unknown refresh token.
	User string
	// Scopes is what was asked for, one element a scope, as the client wrote it.
	Scopes []string
	// Granted is what the token carries.
	Granted []Scope
	// Status is the answer's HTTP status.
	Status int
}

// Server is the handler. Any path is served; it is safe for concurrent use.
type Server struct {
	cfg    Config
	signer *signer

	mu       sync.Mutex
	users    map[string]User
	refresh  map[string]string // refresh token to user name
	requests []Request
}

// New makes a server with a fresh signing key and a self-signed certificate for it.
func New(cfg Config) (*Server, error) {
	if cfg.Service == "" {
		return nil, errors.New("token server: the service's name is missing")
	}
	if cfg.Issuer == "" {
		cfg.Issuer = cfg.Service + " tokens"
	}
	if cfg.ExpiresIn == 0 {
		cfg.ExpiresIn = 5 * time.Minute
	}
	if cfg.ExpiresIn < time.Second {
		return nil, fmt.Errorf("token server: tokens that live %s: give at least 1s", cfg.ExpiresIn)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	signer, err := newSigner(cfg.Algorithm, cfg.Issuer, cfg.Now())
	if err != nil {
		return nil, fmt.Errorf("token server: %w", err)
	}
	s := &Server{cfg: cfg, signer: signer, users: map[string]User{}, refresh: map[string]string{}}
	for name, user := range cfg.Users {
		s.SetUser(name, user)
	}
	return s, nil
}

// CertPEM returns the certificate that the tokens are signed with, for the registry's "rootcertbundle".
func (s *Server) CertPEM() []byte { return slices.Clone(s.signer.certPEM) }

// Issuer returns the name in the tokens' "iss", for the registry's "issuer".
func (s *Server) Issuer() string { return s.cfg.Issuer }

// SetUser adds an account or replaces it. Refresh tokens handed out to it end; access tokens live on until
// they expire.
func (s *Server) SetUser(name string, user User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.refresh, func(_, owner string) bool { return owner == name })
	s.users[name] = user
	if user.RefreshToken != "" {
		s.refresh[user.RefreshToken] = name
	}
}

// Requests returns what was asked so far, oldest first.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Reset forgets the recorded requests.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

// ServeHTTP answers one token request and records it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var (
		rec = Request{Method: r.Method}
		ans answer
		err error
	)
	switch r.Method {
	case http.MethodGet:
		ans, err = s.get(r, &rec)
	case http.MethodPost:
		ans, err = s.post(w, r, &rec)
	default:
		err = &refusal{status: http.StatusMethodNotAllowed, code: "unsupported", reason: "only GET and POST"}
	}
	rec.Status = write(w, r.Method, s.cfg.Service, ans, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, rec)
}

// passwordFits returns the account when the name and password are right.
func (s *Server) passwordFits(name, password string) (User, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	user, ok := s.users[name]
	same := subtle.ConstantTimeCompare([]byte(user.Password), []byte(password)) == 1
	return user, ok && same && password != ""
}

// ownerOf returns the account that a refresh token stands for.
func (s *Server) ownerOf(refreshToken string) (string, User, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, ok := s.refresh[refreshToken]
	return name, s.users[name], ok
}

// remember makes a refresh token good for the account.
func (s *Server) remember(refreshToken, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refresh[refreshToken] = name
}
