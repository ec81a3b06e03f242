// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// RefusesCredential reports, of a registry that has refused its credential for some repository, whether it
// refuses it for all, or wants one where there is none. Many registries deny a repository that does not exist
// (quirk D13).
func (r *Registry) RefusesCredential(ctx context.Context) bool {
	credential, err := r.keychain.Credential(ctx, r.host)
	if err != nil {
		return true
	}
	standing := r.refusals.stands(credential)
	if standing == Unknown {
		if _, err := r.prove(ctx, credential); err == nil {
			standing = r.refusals.stands(credential)
		}
	}
	if credential.Anonymous() {
		return standing == Refused
	}
	return standing != Accepted
}

// prove finds out whether a credential that was refused for a repository is good for anything, once for all
// who want to know. The cause is why that did not show.
func (r *Registry) prove(ctx context.Context, c keychain.Credential) (cause, err error) {
	return r.refusals.group.Do(ctx, fmt.Sprintf("%x", fingerprintOf(c)), sharedTimeout, func(ctx context.Context) (cause, err error) {
		challenges, err := r.challenges(ctx)
		if err != nil {
			return nil, err
		}
		standing, cause := r.standing(ctx, c, challenges)
		r.refusals.settle(c, standing)
		return cause, nil
	})
}

// standing shows a credential for no repository: it buys a token without a scope, or is shown at /v2/. The
// error is why a credential is unproven, if there is a reason.
func (r *Registry) standing(ctx context.Context, c keychain.Credential, challenges []oci.Challenge) (Standing, error) {
	if params := bearer(challenges); params != nil && c.RegistryToken == "" {
		realm, err := r.pinRealm(params["realm"])
		if err != nil {
			return Unproven, err
		}
		_, err = r.fetchToken(WithCall(ctx, Call{Operation: "token"}), newTokenKey(c, realm, params["service"], nil), c)
		refusal, ok := errors.AsType[*Refusal](err)
		switch {
		case err == nil:
			return Accepted, nil
		case ok && refusal.Status == http.StatusUnauthorized:
			return Refused, nil
		default:
			return Unproven, err
		}
	}
	shown, err := r.authorization(ctx, c, challenges, Call{}, "")
	if err != nil || !shown.password && !c.Anonymous() {
		return Unproven, err
	}
	status, err := r.statusOfPing(ctx, shown)
	switch {
	case err == nil && status == http.StatusUnauthorized:
		return Refused, nil
	case err == nil && status < 300 && (c.Anonymous() || r.greeting.isGuarded()):
		return Accepted, nil
	default: // whoever greets anybody tells nothing by it
		return Unproven, err
	}
}

func (r *Registry) statusOfPing(ctx context.Context, shown authorization) (int, error) {
	u, err := r.URL(ctx, "/v2/", "")
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(WithCall(ctx, Call{Operation: "ping"}), http.MethodGet, u.String(), nil)
	if err != nil {
		return 0, err
	}
	resp, err := r.anonymous.RoundTrip(show(req, shown))
	if err != nil {
		return 0, err
	}
	drain(resp)
	return resp.StatusCode, nil
}
