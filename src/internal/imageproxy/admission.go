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

// Admit implements [engine.Side]. Each step tells only those who have passed the ones before it anything
// about what is configured.
func (v *visit) Admit(r *http.Request, operation oci.Route) (engine.Target, error) {
	known := v.cfg.Catalog.Current()
	credential, scope, err := v.authenticate(r, known, operation)
	if err != nil {
		return engine.Target{}, err
	}
	if err := v.inForce(credential); err != nil {
		return engine.Target{}, err
	}
	if operation.Kind == oci.Ping {
		return engine.Target{}, nil
	}
	registry, repository, err := v.open(known, credential, operation)
	if err != nil {
		return engine.Target{}, err
	}
	if scope != nil && !slices.Contains(scope, operation.Name) {
		return engine.Target{}, v.deny(Unauthenticated, v.challenge(r, oci.Errorf(oci.Unauthorized, "the token does not cover this repository"),
			operation.Name, "insufficient_scope"))
	}
	v.credential = credential.Hash
	v.downloads.watch(&v.download)
	return engine.Target{
		Registry:   registry.Upstream,
		Repository: repository,
		Scope:      upstream.Pull(repository),
		Download:   true,
		Source:     func(string) (string, bool) { return "", false },
		Discreet:   true,
		Callers:    []string{credential.License.Name, v.origin.Address.String()},
		Refused:    func(refusal *upstream.Refusal) *oci.Error { return v.refused(r.Context(), registry, refusal) },
	}, nil
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
	switch ended := end(c); {
	case c.License.Revoked && c.License.RevokedAt.IsZero():
		return Revoked, oci.Errorf(oci.Denied, "this license was revoked; ask the vendor")
	case c.License.Revoked:
		return Revoked, oci.Errorf(oci.Denied, "this license was revoked at %s; ask the vendor", stamp(c.License.RevokedAt))
	case ended.IsZero() || now.Before(ended):
		return "", nil
	case ended.Equal(c.License.Expires):
		return Expired, oci.Errorf(oci.Denied, "this license expired at %s; ask the vendor for a longer one", stamp(ended))
	default:
		return Expired, oci.Errorf(oci.Denied, "this license id expired at %s; ask the vendor for the license's new one", stamp(ended))
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// end is when a credential ends by the clock, itself or with its license; zero: never.
func end(c *catalog.Credential) time.Time {
	if c.Expires.IsZero() || !c.License.Expires.IsZero() && c.License.Expires.Before(c.Expires) {
		return c.License.Expires
	}
	return c.Expires
}

// errClosed answers for another application and for a registry that is not open to this one: nothing is there
// to be probed.
func errClosed() *oci.Error {
	return oci.Errorf(oci.Denied, "this license does not open this repository")
}

// open returns what a license opens.
func (v *visit) open(known *catalog.Catalog, credential *catalog.Credential, operation oci.Route) (*catalog.Registry, string, error) {
	if v.reference.app == "" {
		return nil, "", oci.Errorf(oci.NameUnknown, "the names of images begin with %s and the application here", prefix)
	}
	if v.reference.app != credential.License.App {
		return nil, "", v.deny(OtherApp, errClosed())
	}
	registry, repository, err := v.reference.find(known)
	switch {
	case errors.Is(err, catalog.ErrNoRegistry):
		return nil, "", v.deny(RegistryUnknown, oci.Errorf(oci.NameUnknown, "the registry of this image is not configured here"))
	case errors.Is(err, catalog.ErrNotOpen):
		return nil, "", v.deny(RegistryClosed, errClosed())
	case err != nil:
		return nil, "", fmt.Errorf("find the registry of %s: %w", operation.Name, err)
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
	return oci.Errorf(oci.NameUnknown, "there is no such repository: check the name of the image").Because(of(registry, refusal))
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
