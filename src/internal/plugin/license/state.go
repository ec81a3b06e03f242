// SPDX-License-Identifier: Apache-2.0

package license

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
)

// State is whether a license admits.
type State string

// Valid licenses admit. Expired ones have ended, or all of their credentials have. Revoked ones were ended by
// the vendor. Invalid ones the server cannot use, and says why in a condition. Those without ids admit nobody
// until rotate makes one.
const (
	Valid   State = "valid"
	Expired State = "expired"
	Revoked State = "revoked"
	Invalid State = "invalid"
	NoIDs   State = "no-ids"
)

// StateOf tells the state of a license at a time.
func StateOf(l *v1alpha1.License, now time.Time) State {
	switch {
	case l.Spec.Revoked:
		return Revoked
	case meta.IsStatusConditionFalse(l.Status.Conditions, v1alpha1.Valid), l.Validate(v1alpha1.InCluster) != nil:
		return Invalid
	case ended(l.Spec.ExpiresAt, now):
		return Expired
	case len(l.Spec.Credentials) == 0:
		return NoIDs
	}
	for i := range l.Spec.Credentials {
		if !ended(l.Spec.Credentials[i].ExpiresAt, now) {
			return Valid
		}
	}
	return Expired
}

// CredentialState tells the state of one credential, without regard to its license.
func CredentialState(c v1alpha1.Credential, now time.Time) State {
	if ended(c.ExpiresAt, now) {
		return Expired
	}
	return Valid
}

// RevokedSince is when a license was revoked: as the one who revoked it wrote, else as the server noticed. It
// is the zero time where that is not known.
func RevokedSince(l *v1alpha1.License) time.Time {
	if at, err := v1alpha1.ParseTime(l.Annotations[v1alpha1.RevokedAtAnnotation]); err == nil && !at.IsZero() {
		return at
	}
	if c := meta.FindStatusCondition(l.Status.Conditions, v1alpha1.Revoked); c != nil && c.Status == "True" {
		return c.LastTransitionTime.Time
	}
	return time.Time{}
}

func ended(text string, now time.Time) bool {
	end, err := v1alpha1.ParseTime(text)
	return err == nil && !end.IsZero() && !now.Before(end)
}
