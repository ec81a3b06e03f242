// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"errors"
	"net/http"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// Refusal is the error when the registry, or its token server, does not accept the proxy's credential, or
// when there is none where one is needed.
type Refusal struct {
	// Status of the answer; 0 when the credential could not be had.
	Status int
	// Reason holds no secret and no address, so that clients can be told it. The cause may hold addresses.
	Reason string
	cause  error
}

func (e *Refusal) Error() string {
	if e.cause != nil {
		return e.Reason + ": " + e.cause.Error()
	}
	return e.Reason
}

// Unwrap returns the cause.
func (e *Refusal) Unwrap() error { return e.cause }

// authenticate shows the credential ahead of the request, so that no body is spent on learning that one is
// wanted. When the registry refuses it all the same before the body is asked for, the request is made once
// more with what the refusal taught.
type authenticate struct {
	registry *Registry
	next     http.RoundTripper
}

func (t authenticate) RoundTrip(req *http.Request) (*http.Response, error) {
	r := t.registry
	ctx, call := req.Context(), callOf(req.Context())
	credential, err := r.credential(ctx, call)
	if err != nil {
		return nil, err
	}
	challenges, err := r.challenges(ctx)
	if err != nil {
		return nil, err
	}
	shown, err := r.authorization(ctx, credential, challenges, call, "")
	if err != nil {
		return nil, err
	}
	resp, err := t.next.RoundTrip(show(req, shown))
	r.refusals.see(credential, shown, resp)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	r.tokens.forget(shown)
	asked := oci.ParseChallenges(resp.Header)
	if len(asked) > 0 {
		challenges = asked
		r.greeting.learn(asked)
	}
	again, ok := RepeatBody(req)
	if !ok {
		// The body had begun before the registry made up its mind; the next attempt comes with a new token. A
		// password is not refused by a registry that wants a token for it.
		if bearer(asked) == nil {
			r.refusals.remember(credential, shown, call)
			return resp, nil
		}
		drain(resp)
		return nil, errTokenRefused
	}
	taught, err := r.authorization(ctx, credential, challenges, call, bearer(challenges)["scope"])
	if err != nil {
		drain(resp)
		return nil, err
	}
	if taught.header == shown.header {
		r.refusals.remember(credential, shown, call)
		return resp, nil
	}
	drain(resp)
	resp, err = t.next.RoundTrip(show(again, taught))
	r.refusals.see(credential, taught, resp)
	if err == nil && resp.StatusCode == http.StatusUnauthorized {
		r.tokens.forget(taught)
		r.refusals.remember(credential, taught, call)
	}
	return resp, err
}

// errTokenRefused is not a [Refusal]: there is nothing that an operator has to mend.
var errTokenRefused = errors.New("the registry refused a token after the body had begun; the next attempt gets a new one")

// authorization is the value of the header that shows a credential, and how it came about.
type authorization struct {
	header string
	// key of the token cache, for a token that was fetched.
	key tokenKey
	// password says that the header is the credential itself, so that a refusal is about the credential.
	password bool
}

func show(req *http.Request, a authorization) *http.Request {
	req = withHeaders(req)
	req.Header.Del("Authorization")
	if a.header != "" {
		req.Header.Set("Authorization", a.header)
	}
	return req
}

// credential returns the credential, unless it was refused for what the call is about.
func (r *Registry) credential(ctx context.Context, call Call) (keychain.Credential, error) {
	credential, err := r.keychain.Credential(ctx, r.host)
	if err != nil {
		return credential, &Refusal{Reason: "the credential for the registry could not be had", cause: err}
	}
	doubtful, err := r.refusals.check(credential, call)
	if err != nil || !doubtful {
		return credential, err
	}
	if _, err := r.prove(ctx, credential); err != nil {
		return credential, err
	}
	_, err = r.refusals.check(credential, call)
	return credential, err
}

// authorization shows a credential for a call as the challenges want it, with a scope that one asked for
// besides. Bearer is preferred: it keeps the password off the registry.
func (r *Registry) authorization(
	ctx context.Context, c keychain.Credential, challenges []oci.Challenge, call Call, asked string,
) (authorization, error) {
	if c.RegistryToken != "" {
		return authorization{header: "Bearer " + c.RegistryToken, password: true}, nil
	}
	var unusable error
	for _, ch := range challenges {
		if ch.Scheme != "bearer" {
			continue
		}
		realm, err := r.pinRealm(ch.Params["realm"])
		if err != nil {
			unusable = err
			continue
		}
		key := newTokenKey(c, realm, ch.Params["service"], scopeStrings(call, asked))
		token, err := r.token(ctx, key, c, call)
		return authorization{header: "Bearer " + token, key: key}, err
	}
	for _, ch := range challenges {
		if ch.Scheme == "basic" && !c.Anonymous() {
			return authorization{header: basic(c), password: true}, nil
		}
	}
	if unusable != nil {
		return authorization{}, &Refusal{Reason: "the registry names a token server that is not known to be its own, and it is not shown the credential", cause: unusable}
	}
	return authorization{}, nil
}

// Greet asks the registry for its greeting, if that has not been done, and returns the authentication schemes
// that it names.
func (r *Registry) Greet(ctx context.Context) (schemes []string, err error) {
	challenges, err := r.challenges(ctx)
	for _, ch := range challenges {
		schemes = append(schemes, ch.Scheme)
	}
	return schemes, err
}

// Authorize gets what shows the credential for a scope, a token where the registry wants one, and keeps it
// for requests to come. It reports whether anything is shown at all.
func (r *Registry) Authorize(ctx context.Context, scope Scope) (shown bool, err error) {
	call := Call{Scopes: []Scope{scope}}
	credential, err := r.credential(ctx, call)
	if err != nil {
		return false, err
	}
	challenges, err := r.challenges(ctx)
	if err != nil {
		return false, err
	}
	a, err := r.authorization(ctx, credential, challenges, call, "")
	return a.header != "", err
}

// bearer returns the parameters of the first Bearer challenge; nil when there is none.
func bearer(challenges []oci.Challenge) map[string]string {
	for _, ch := range challenges {
		if ch.Scheme == "bearer" {
			return ch.Params
		}
	}
	return nil
}

func basic(c keychain.Credential) string {
	user, password := userPassword(c)
	req := http.Request{Header: http.Header{}}
	req.SetBasicAuth(user, password)
	return req.Header.Get("Authorization")
}

// userPassword returns the Basic form; an identity token stands for the password of a user without a name
// (quirk A6).
func userPassword(c keychain.Credential) (user, password string) {
	if c.IdentityToken == "" {
		return c.Username, c.Password
	}
	if c.Username == "" || c.Username == "<token>" {
		return "00000000-0000-0000-0000-000000000000", c.IdentityToken
	}
	return c.Username, c.IdentityToken
}
