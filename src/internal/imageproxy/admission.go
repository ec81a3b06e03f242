// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/engine"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// Admit implements [engine.Side]. A request that had to wait for a place is decided about anew.
func (v *visit) Admit(r *http.Request, operation oci.Route) (engine.Target, error) {
	target, credential, err := v.decide(r, operation)
	if err != nil {
		return target, err
	}
	if operation.Kind == oci.Ping {
		v.admitted(r.Context(), credential, "the License is in force")
		return target, nil
	}
	waited, noPlace := v.await(r.Context(), operation, credential)
	if waited {
		if target, _, err = v.decide(r, operation); err != nil {
			return engine.Target{}, err
		}
	}
	if noPlace != nil {
		return engine.Target{}, noPlace
	}
	if v.asked != nil {
		if target, err = v.reached(r, operation, target); err != nil {
			return engine.Target{}, err
		}
	}
	v.admitted(r.Context(), credential,
		"the License is in force, of this application, and the ExternalRegistry is open to it")
	v.credential, v.from = credential.Hash, v.reference
	v.downloads.watch(&v.download)
	return target, nil
}

// await waits until the license may have one more request under way. The error is the answer of one that did
// not get its turn.
func (v *visit) await(
	ctx context.Context, operation oci.Route, credential *catalog.Credential,
) (waited bool, noPlace error) {
	key := lineKey{credential.License.Name, operation.Kind == oci.Blob && operation.Method == http.MethodGet}
	began := time.Now()
	waited, err := v.places.take(ctx, key, credential)
	if waited {
		v.record.Waited = time.Since(began)
	}
	if err == nil {
		v.place = &key
		return waited, nil
	}
	answer := oci.Errorf(oci.TooManyRequests, "this license has as many pulls under way as it may have at once; "+
		"try again in a moment").With("Retry-After", placeRetryAfter).Because(err)
	if errors.Is(err, errNoPlace) {
		return waited, v.deny(TooManyPulls, answer)
	}
	return waited, answer // nobody reads it: the client is gone
}

// leave gives the request's place back, if it has one.
func (v *visit) leave() {
	if v.place != nil {
		v.places.leave(*v.place)
	}
}

// decide finds out what a request opens. Each step tells only those who have passed the ones before it
// anything about what is configured.
func (v *visit) decide(r *http.Request, operation oci.Route) (engine.Target, *catalog.Credential, error) {
	known := v.cfg.Catalog.Current()
	credential, scope, err := v.authenticate(r, known, operation)
	if err != nil {
		return engine.Target{}, nil, err
	}
	if err := v.inForce(credential); err != nil {
		return engine.Target{}, nil, err
	}
	if operation.Kind == oci.Ping {
		return engine.Target{}, credential, nil
	}
	registry, repository, err := v.open(known, credential, operation)
	if err != nil {
		return engine.Target{}, nil, err
	}
	v.registry = registry.Name
	if scope != nil && !slices.Contains(scope, operation.Name) {
		return engine.Target{}, nil, v.deny(Unauthenticated, v.challenge(r, oci.Errorf(oci.Unauthorized, "the token does not cover this repository"),
			operation.Name, "insufficient_scope"))
	}
	target := engine.Target{
		Registry:   registry.Upstream,
		Repository: repository,
		Scope:      upstream.Pull(repository),
		Download:   true,
		Source:     func(string) (string, bool) { return "", false },
		Discreet:   true,
		Callers:    []string{credential.License.Name, v.origin.Address.String()},
		Refused:    func(refusal *upstream.Refusal) *oci.Error { return v.refused(r.Context(), registry, refusal) },
	}
	if v.cfg.Cache != nil {
		v.cached = v.cfg.Cache.For(registry.Upstream, registry.Name, repository)
		target.Cache = v.cached
	}
	if err := v.entitled(&target, registry, operation); err != nil {
		return engine.Target{}, nil, err
	}
	return target, credential, nil
}

// inForce refuses a license that has ended.
func (v *visit) inForce(credential *catalog.Credential) error {
	v.holder(credential)
	if reason, answer := over(credential, time.Now()); answer != nil {
		return v.deny(reason, answer)
	}
	return nil
}

// over says how a credential has ended, if it has.
func over(c *catalog.Credential, now time.Time) (Reason, *oci.Error) {
	switch ended := c.Ends(); {
	case c.License.Revoked && c.License.RevokedAt.IsZero():
		return Revoked, oci.Errorf(oci.Denied, "this license was revoked; ask the vendor")
	case c.License.Revoked:
		return Revoked, oci.Errorf(oci.Denied, "this license was revoked at %s; ask the vendor", stamp(c.License.RevokedAt))
	case ended.IsZero() || now.Before(ended):
		return "", nil
	case ended.Equal(c.License.Expires):
		return Expired, oci.Errorf(oci.Denied, "this license expired at %s; ask the vendor for a longer one", stamp(ended))
	default:
		return Expired, oci.Errorf(oci.Denied,
			"this license id expired at %s; ask the vendor for the license's new one", stamp(ended))
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// errClosed answers for another application, and for a registry, repository, tag or digest that is not open: nothing
// is there to be probed.
func errClosed() *oci.Error {
	return oci.Errorf(oci.Denied, "this license does not open this image")
}

// open returns what a license opens.
func (v *visit) open(
	known *catalog.Catalog, credential *catalog.Credential, operation oci.Route,
) (*catalog.Registry, string, error) {
	if v.reference.app == "" {
		return nil, "", oci.Errorf(oci.NameUnknown, "the names of images begin with %s and the application here", prefix)
	}
	registry, repository, tags, reason, err := v.reference.opens(known, credential.License)
	v.opened = tags
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("find the registry of %s: %w", operation.Name, err)
	case reason == RegistryUnknown:
		return nil, "", v.deny(reason, oci.Errorf(oci.NameUnknown, "the registry of this image is not configured here"))
	case reason != "":
		return nil, "", v.deny(reason, errClosed())
	case registry.Problem != nil || registry.Upstream == nil:
		return nil, "", v.unavailable(registry, registry.Problem)
	case !oci.IsName(repository):
		return nil, "", oci.Errorf(oci.NameInvalid, "the repository name is too long")
	default:
		return registry, repository, nil
	}
}

// refused answers for a registry that refuses the vendor's credential. Many registries refuse it for a
// repository that does not exist. That is a mistake of the customer's, and the vendor is not alarmed by it
// (quirk D13).
func (v *visit) refused(ctx context.Context, registry *catalog.Registry, refusal *upstream.Refusal) *oci.Error {
	if refusal.Status == 0 || registry.Upstream.RefusesCredential(ctx) {
		return v.unavailable(registry, refusal)
	}
	return oci.Errorf(oci.NameUnknown,
		"there is no such repository: check the name of the image").Because(of(registry, refusal))
}

// of says which registry an error is of, for the vendor's log.
func of(registry *catalog.Registry, err error) error {
	return fmt.Errorf("ExternalRegistry %s, %s: %w", registry.Name, registry.Hostname, err)
}

// unavailable answers for a registry that does not take the vendor's credential, or for which there is none.
// It is not the customer's, who would be asked for another password by a 401; only the vendor's log says
// which registry it is.
func (v *visit) unavailable(registry *catalog.Registry, cause error) *oci.Error {
	if realm, ok := errors.AsType[*upstream.RealmError](cause); ok {
		cause = fmt.Errorf("%w; %s", cause, realm.Remedy("spec.tokenRealms"))
	}
	return v.deny(UpstreamRefused, oci.Errorf(oci.Unavailable, "the vendor's registry cannot serve this image now; the license is not the reason; ask the vendor").
		Because(of(registry, cause)))
}
