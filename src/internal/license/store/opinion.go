// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// How long a registry is left alone after what it said.
const (
	pauseAccepted = time.Hour
	// pauseRefused: an account that fails is banned by some registries. A changed credential is shown at once.
	pauseRefused = 6 * time.Hour
	// pauseUnknown: no credential was shown, or the registry was not there.
	pauseUnknown = 10 * time.Minute
	// pauseAtStart is what counts of these for a server that starts, and does not know whether the credential
	// has changed since.
	pauseAtStart = 30 * time.Minute
)

const (
	accepted    = metav1.ConditionTrue
	notAccepted = metav1.ConditionFalse
	notKnown    = metav1.ConditionUnknown
)

// opinion is what a registry thinks of its credential, as the condition has it.
type opinion struct {
	status          metav1.ConditionStatus
	reason, message string
}

// The reasons of the condition "CredentialAccepted".
const (
	reasonAccepted    = "Accepted"
	reasonNoneNeeded  = "NoneNeeded"
	reasonRefused     = "Refused"
	reasonNoneNamed   = "NoneNamed"
	reasonRealm       = "TokenServerNotAllowed"
	reasonNotHad      = "CredentialNotHad"
	reasonBusy        = "RegistryBusy"
	reasonNotTold     = "RegistryDoesNotTell"
	reasonUnreachable = "RegistryUnreachable"
	reasonNotAsked    = "NotAsked"
)

// pause is how long the registry is left alone.
func (o opinion) pause() time.Duration {
	switch o.reason {
	case reasonUnreachable, reasonNotHad:
		return pauseUnknown
	case reasonRefused, reasonNoneNamed, reasonNotAsked:
		return pauseRefused
	default:
		return pauseAccepted
	}
}

// opinionOf puts what a registry thinks into words; called is where the credential is.
func opinionOf(there bool, standing upstream.Standing, err error, called string) opinion {
	realm, foreign := errors.AsType[*upstream.RealmError](err)
	_, told := errors.AsType[*upstream.Refusal](err)
	_, busy := errors.AsType[*upstream.Busy](err)
	switch {
	case standing == upstream.Accepted && there:
		return opinion{accepted, reasonAccepted, "the registry takes the credential of " + called}
	case standing == upstream.Accepted:
		return opinion{accepted, reasonNoneNeeded, "no credential is named, and the registry lets strangers in"}
	case standing == upstream.Refused && there:
		return opinion{notAccepted, reasonRefused,
			"the registry refuses the credential, whatever the repository: correct it in " + called}
	case standing == upstream.Refused:
		return opinion{notAccepted, reasonNoneNamed, "the registry wants a credential: name one in spec.credentials"}
	case foreign:
		return opinion{notAccepted, reasonRealm, inOneLine(err) + "; " + realm.Remedy("spec.tokenRealms")}
	case told && standing == upstream.Unknown:
		return opinion{notAccepted, reasonNotHad, inOneLine(err)}
	case busy:
		return opinion{notKnown, reasonBusy, "the registry asks to be left alone for a while"}
	case err == nil, told:
		return opinion{notKnown, reasonNotTold, "the registry does not tell before an image is asked for"}
	default:
		return opinion{notKnown, reasonUnreachable, inOneLine(err)}
	}
}

// recordedOpinion is what the object's status says of this version of it; an empty one: nothing.
func recordedOpinion(r *v1alpha1.ExternalRegistry) opinion {
	c := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.CredentialAccepted)
	if c == nil || c.ObservedGeneration != r.Generation || c.Reason == reasonNotAsked {
		return opinion{}
	}
	return opinion{c.Status, c.Reason, c.Message}
}

// apply brings a status up to date, and reports whether that changed anything. What somebody has learnt later
// stays.
func (o opinion) apply(r *v1alpha1.ExternalRegistry, generation int64, asked time.Time) bool {
	at := metav1.NewTime(asked.Truncate(time.Second))
	if r.Generation != generation || r.Status.CredentialCheckedAt != nil && at.Before(r.Status.CredentialCheckedAt) {
		return false
	}
	if c := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.CredentialAccepted); o.reason == reasonNotAsked &&
		(c == nil || c.Reason == o.reason && c.ObservedGeneration == generation) {
		return false
	}
	if o.reason != reasonNotAsked {
		r.Status.CredentialCheckedAt = &at
	}
	meta.SetStatusCondition(&r.Status.Conditions, metav1.Condition{
		Type: v1alpha1.CredentialAccepted, Status: o.status, Reason: o.reason, Message: o.message,
		ObservedGeneration: generation,
	})
	return true
}
