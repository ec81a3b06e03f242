// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
	"github.com/local-source-proxy/local-source-proxy/src/internal/singleflight"
)

const (
	// defaultLifetime of a token that does not say (distribution token specification: "defaults to 60
	// seconds").
	defaultLifetime = time.Minute
	// maxMargin is how long before its end at most a token is no longer used; a quarter of its life if that
	// is less.
	maxMargin = time.Minute
	// maxTokens and maxTokenBytes bound the cache; those used longest ago leave first. Customers choose the
	// repositories, and registries the size of their tokens.
	maxTokens, maxTokenBytes = 1024, 4 << 20
	// maxTokenAnswer bounds a token server's answer, in bytes. A token is a line of a header, of which
	// registries take some tens of KiB; an answer may have it twice.
	maxTokenAnswer = 128 << 10
)

// tokenKey says for whom and for what a token is good: a token must never serve another credential, nor
// another repository (quirk A2).
type tokenKey struct {
	credential             fingerprint
	realm, service, scopes string
}

func newTokenKey(c keychain.Credential, realm, service string, scopes []string) tokenKey {
	return tokenKey{fingerprintOf(c), realm, service, strings.Join(scopes, " ")}
}

type token struct {
	value string
	// stale is when the token is no longer used, ahead of its expiry: an upload that begins with it may
	// last.
	stale time.Time
}

// tokenCache shares tokens between requests.
type tokenCache struct {
	mu     sync.Mutex
	tokens *simplelru.LRU[tokenKey, token]
	bytes  int
	group  singleflight.Group[string]
}

func newTokenCache() *tokenCache {
	c := &tokenCache{}
	// Only a size that is not positive is an error.
	c.tokens, _ = simplelru.NewLRU(maxTokens, func(_ tokenKey, t token) { c.bytes -= len(t.value) })
	return c
}

func (c *tokenCache) get(key tokenKey) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, ok := c.tokens.Get(key)
	return t.value, ok && time.Now().Before(t.stale)
}

func (c *tokenCache) put(key tokenKey, t token) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens.Remove(key) // what is replaced is not counted off
	c.tokens.Add(key, t)
	c.bytes += len(t.value)
	for c.bytes > maxTokenBytes {
		c.tokens.RemoveOldest()
	}
}

// forget drops a token that the registry refused, unless it has been replaced since.
func (c *tokenCache) forget(shown authorization) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t, ok := c.tokens.Peek(shown.key); ok && "Bearer "+t.value == shown.header {
		c.tokens.Remove(shown.key)
	}
}

// token returns a token from the cache, or fetches one for all who wait for the same.
func (r *Registry) token(ctx context.Context, key tokenKey, c keychain.Credential, call Call) (string, error) {
	if value, ok := r.tokens.get(key); ok {
		return value, nil
	}
	flight := fmt.Sprintf("%x %s %s %s", key.credential, key.realm, key.service, key.scopes)
	return r.tokens.group.Do(ctx, flight, sharedTimeout, func(ctx context.Context) (string, error) {
		if value, ok := r.tokens.get(key); ok {
			return value, nil
		}
		fetched, err := r.fetchToken(WithCall(ctx, Call{Operation: "token"}), key, c)
		refusal, refused := errors.AsType[*Refusal](err)
		switch {
		case refused:
			r.observer.TokenFetch("refused")
			if refusal.Status == http.StatusUnauthorized {
				r.refusals.note(c, call)
			}
			return "", err
		case errors.Is(ctx.Err(), context.Canceled): // nobody waits for it any more
			return "", err
		case err != nil:
			r.observer.TokenFetch("error")
			return "", err
		}
		r.observer.TokenFetch("ok")
		r.tokens.put(key, fetched)
		return fetched.value, nil
	})
}

// fetchToken asks the realm. An identity token is traded by OAuth2's POST, and by GET where the realm takes
// no POST (quirk A6).
func (r *Registry) fetchToken(ctx context.Context, key tokenKey, c keychain.Credential) (token, error) {
	if c.IdentityToken != "" {
		t, status, err := r.askRealm(key, func() (*http.Request, error) { return postToken(ctx, key, c) })
		if status != http.StatusNotFound && status != http.StatusMethodNotAllowed && status != http.StatusNotImplemented {
			return t, err
		}
	}
	t, _, err := r.askRealm(key, func() (*http.Request, error) { return getToken(ctx, key, c) })
	return t, err
}

func postToken(ctx context.Context, key tokenKey, c keychain.Credential) (*http.Request, error) {
	form := url.Values{
		"grant_type":    {"refresh_token"},
		"refresh_token": {c.IdentityToken},
		"service":       {key.service},
		"scope":         {key.scopes},
		"client_id":     {"local-source-proxy"},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, key.realm, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req, nil
}

func getToken(ctx context.Context, key tokenKey, c keychain.Credential) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, key.realm, nil)
	if err != nil {
		return nil, err
	}
	query := req.URL.Query()
	if key.service != "" {
		query.Set("service", key.service)
	}
	for scope := range strings.FieldsSeq(key.scopes) {
		query.Add("scope", scope)
	}
	req.URL.RawQuery = query.Encode()
	if !c.Anonymous() {
		req.SetBasicAuth(userPassword(c))
	}
	return req, nil
}

func (r *Registry) askRealm(key tokenKey, ask func() (*http.Request, error)) (token, int, error) {
	req, err := ask()
	if err != nil {
		return token{}, 0, fmt.Errorf("ask for a token: %w", err)
	}
	received := time.Now()
	resp, err := r.reachRealm(req)
	if err != nil {
		return token{}, 0, fmt.Errorf("ask %s for a token: %w", req.URL.Host, err)
	}
	defer drain(resp)
	if err := busy(resp, "ask "+req.URL.Host+" for a token"); err != nil {
		return token{}, resp.StatusCode, err
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxTokenAnswer+1))
	if err != nil {
		return token{}, resp.StatusCode, fmt.Errorf("ask %s for a token: read answer: %w", req.URL.Host, err)
	}
	if len(data) > maxTokenAnswer {
		return token{}, resp.StatusCode, fmt.Errorf("ask %s for a token: its answer is longer than %d KiB",
			req.URL.Host, maxTokenAnswer>>10)
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusCreated:
		t, err := readToken(data, received)
		if err != nil {
			err = fmt.Errorf("ask %s for a token: %w", req.URL.Host, err)
		}
		return t, resp.StatusCode, err
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusBadRequest:
		return token{}, resp.StatusCode, &Refusal{
			Status: resp.StatusCode,
			Reason: fmt.Sprintf("the registry's token server refuses the credential (%s)", http.StatusText(resp.StatusCode)),
			cause:  fmt.Errorf("asked %s for scope %q", req.URL.Host, key.scopes),
		}
	case http.StatusNotFound:
		if req.Method == http.MethodGet && req.Header.Get("Authorization") == "" {
			return token{}, resp.StatusCode, &Refusal{
				Status: resp.StatusCode,
				Reason: "the registry's token server answers strangers 404 Not Found: a credential is needed",
				cause:  fmt.Errorf("asked %s for scope %q", req.URL.Host, key.scopes),
			}
		}
		fallthrough
	default:
		return token{}, resp.StatusCode, fmt.Errorf("ask %s for a token: status %d", req.URL.Host, resp.StatusCode)
	}
}

// reachRealm asks a token server, and follows its redirects to itself with the credential (quirk A14).
// Those to other places are not followed.
func (r *Registry) reachRealm(req *http.Request) (*http.Response, error) {
	realm := req.URL
	for range maxRedirects + 1 {
		resp, err := r.anonymous.RoundTrip(req)
		if err != nil || !isRedirect(resp.StatusCode) {
			return resp, err
		}
		drain(resp)
		to, err := req.URL.Parse(resp.Header.Get("Location"))
		if err != nil || resp.Header.Get("Location") == "" {
			return nil, fmt.Errorf("%w: the token server names no usable Location", ErrRedirect)
		}
		if to.Scheme == "http" && realm.Scheme == "https" && hostname(to.Host) == hostname(realm.Host) {
			to.Scheme, to.Host = realm.Scheme, realm.Host // behind a box that speaks TLS for it (quirk A13)
		}
		if to.Scheme != realm.Scheme || listedAs(to) != listedAs(realm) || to.User != nil {
			return nil, fmt.Errorf("%w: the token server sends the credential elsewhere, to %s", ErrRedirect, to.Host)
		}
		next := req.Clone(req.Context())
		next.URL, next.Host = to, ""
		switch {
		case resp.StatusCode == http.StatusSeeOther && req.Method != http.MethodGet:
			return nil, fmt.Errorf("%w: the token server answers %s by %d", ErrRedirect, req.Method, resp.StatusCode)
		case req.GetBody != nil:
			if next.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
		req = next
	}
	return nil, fmt.Errorf("%w: more than %d in a row from the token server %s", ErrRedirect, maxRedirects, realm.Host)
}

// readToken reads the answer; its lifetime counts from when it was asked for, by our clock, because clocks
// differ (quirk A5).
func readToken(data []byte, asked time.Time) (token, error) {
	var answer struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return token{}, errors.New("the answer is not JSON")
	}
	value := answer.Token
	if value == "" {
		value = answer.AccessToken
	}
	if value == "" {
		return token{}, errors.New("the answer holds no token")
	}
	lifetime := defaultLifetime
	if answer.ExpiresIn > 0 {
		lifetime = time.Duration(min(answer.ExpiresIn, int64((24*time.Hour)/time.Second))) * time.Second
	}
	return token{value: value, stale: asked.Add(lifetime - min(lifetime/4, maxMargin))}, nil
}
