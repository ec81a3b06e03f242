// SPDX-License-Identifier: Apache-2.0

package store

import (
	"unique"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
)

// standing is what the conditions of an object say. Most objects say the same.
type standing struct {
	valid           metav1.ConditionStatus
	reason, message string
	generation      int64
	revoked         bool
}

// wish is what the conditions of an object should say.
type wish struct {
	standing
	revokedAt int64
}

// observe takes what they say.
func observe(conditions []metav1.Condition) unique.Handle[standing] {
	s := standing{revoked: meta.IsStatusConditionTrue(conditions, v1alpha1.Revoked)}
	if c := meta.FindStatusCondition(conditions, v1alpha1.Valid); c != nil {
		s.valid, s.reason, s.message, s.generation = c.Status, c.Reason, c.Message, c.ObservedGeneration
	}
	return unique.Make(s)
}

// wish is what should be said of an object with a verdict.
func (o *object) wish(v verdict) *wish {
	w := &wish{standing{valid: metav1.ConditionTrue, reason: v.reason, message: "the object is in force", generation: o.generation, revoked: o.revoked}, o.revokedAt}
	if v.message != "" {
		w.valid, w.message = metav1.ConditionFalse, v.message
	}
	return w
}

// apply reports whether it changed anything. A license that was never revoked has no condition that says so.
func (w *wish) apply(conditions *[]metav1.Condition) bool {
	changed := meta.SetStatusCondition(conditions, metav1.Condition{
		Type: v1alpha1.Valid, Status: w.valid, Reason: w.reason, Message: w.message, ObservedGeneration: w.generation,
	})
	revoked := metav1.Condition{Type: v1alpha1.Revoked, Status: metav1.ConditionFalse, Reason: "NotRevoked", ObservedGeneration: w.generation}
	switch {
	case w.revoked:
		revoked.Status, revoked.Reason, revoked.LastTransitionTime = metav1.ConditionTrue, "Revoked", metav1.Unix(w.revokedAt, 0)
	case meta.FindStatusCondition(*conditions, v1alpha1.Revoked) == nil:
		return changed
	}
	return meta.SetStatusCondition(conditions, revoked) || changed
}
