// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// authenticate finds the credential of a request: by a license id, which opens all that its license does, or
// by a token, which opens what it was shown for. scope is nil without a token.
func (v *visit) authenticate(
	r *http.Request, known *catalog.Catalog, operation oci.Route,
) (credential *catalog.Credential, scope []string, err error) {
	if token, ok := bearer(r); ok {
		return v.byToken(r, known, operation, token)
	}
	_, id, _ := r.BasicAuth()
	if id == "" {
		return nil, nil, v.deny(Unauthenticated, v.challenge(r, errLicense(), operation.Name, ""))
	}
	credential, ok := known.Credential(id)
	if !ok {
		return nil, nil, v.wrong(UnknownLicense, v.challenge(r, errUnknown(), operation.Name, ""))
	}
	return credential, nil, nil
}

func errLicense() *oci.Error {
	return oci.Errorf(oci.Unauthorized,
		"a license is needed: log in with any user name, and the license id as the password")
}

func errUnknown() *oci.Error {
	return oci.Errorf(oci.Unauthorized,
		"this license id is not known here; log in with any user name, and the license id as the password")
}

// byToken takes a token for what it says, and looks its credential up again: the license may have ended
// since.
func (v *visit) byToken(
	r *http.Request, known *catalog.Catalog, operation oci.Route, token string,
) (*catalog.Credential, []string, error) {
	checked, err := v.cfg.Issuer.Check(token)
	switch {
	case errors.Is(err, ErrTokenExpired):
		return nil, nil, v.deny(Unauthenticated,
			v.challenge(r, oci.Errorf(oci.Unauthorized, "the token has expired"), operation.Name, "invalid_token"))
	case err != nil:
		invalid := oci.Errorf(oci.Unauthorized, "this is not a token of this server").Because(err)
		return nil, nil, v.wrong(Unauthenticated, v.challenge(r, invalid, operation.Name, "invalid_token"))
	}
	credential, ok := known.ByHash(checked.Credential)
	if !ok {
		return nil, nil, v.deny(UnknownLicense, v.challenge(r, errUnknown(), operation.Name, "invalid_token"))
	}
	return credential, append([]string{}, checked.Repositories...), nil
}

// wrong answers a credential that is nobody's. Over the limit it costs no more than this answer. Those who
// show none are not counted: most clients begin so, and one with a wrong password must not get those behind
// the same address refused.
func (v *visit) wrong(reason Reason, answer *oci.Error) *oci.Error {
	wait, over := v.failures.Fail(v.origin.Address)
	if !over {
		return v.deny(reason, answer)
	}
	v.silent = true
	return v.deny(RateLimited, oci.Errorf(oci.TooManyRequests, "too many wrong licenses or tokens come from this address; a right one is still let in").
		With("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds())))))
}

// bearer returns the token that a request shows.
func bearer(r *http.Request) (token string, ok bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), ok && strings.EqualFold(scheme, "Bearer")
}
