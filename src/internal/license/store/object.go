// SPDX-License-Identifier: Apache-2.0

package store

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
)

// id names an object.
type id struct {
	kind, name string
	// file holds the object; empty in a cluster.
	file string
}

// String is how a message names it.
func (i id) String() string {
	if i.file == "" {
		return i.kind + " " + i.name
	}
	return i.kind + " " + i.name + " in " + i.file
}

// object is what was read of one. It never changes: an edited object is read as another one.
type object struct {
	id
	// version is what the object says, if it is valid; otherwise problem says why it is not.
	version
	problem string
	// text tells what was written in a directory apart; in a cluster, generation does.
	text digest
	// uid is the API server's, by which an object that was made again differs from its predecessor.
	uid types.UID
	// generation is the API server's number of the edit.
	generation int64
	created    time.Time
	// confirmed: the conditions in the cluster say that the object, as it is, is in force.
	confirmed bool
	// revoked is true also for a license that is revoked and not valid.
	revoked bool
	// revokedAt is zero where it is not known; dated: the author wrote it.
	revokedAt time.Time
	dated     bool
}

// version is a valid license, a valid registry, or nothing.
type version struct {
	license  *license
	registry *registry
}

func (v version) empty() bool { return v == version{} }

// license is what admission needs of one.
type license struct {
	credentials []*catalog.Credential
}

// registry is an ExternalRegistry.
type registry struct {
	spec v1alpha1.ExternalRegistrySpec
	// credential is the Secret or the file that holds its credential; empty: neither.
	credential string
}

// newObject takes what is needed of an object, and what is wrong with it.
func newObject(file string, from v1alpha1.Object, problem error) *object {
	o := &object{uid: from.GetUID(), generation: from.GetGeneration(), created: from.GetCreationTimestamp().Time}
	if problem != nil {
		o.problem = inOneLine(problem)
	}
	switch from := from.(type) {
	case *v1alpha1.License:
		o.id = id{v1alpha1.LicenseKind, from.Name, file}
		o.revoked = from.Spec.Revoked
		o.revokedAt, o.dated = revokedAt(from)
		o.confirmed = confirmed(from.Status.Conditions, from.Generation, from.Spec.Revoked)
		if problem == nil {
			o.license = newLicense(from)
		}
	case *v1alpha1.ExternalRegistry:
		o.id = id{v1alpha1.RegistryKind, from.Name, file}
		o.confirmed = confirmed(from.Status.Conditions, from.Generation, false)
		if problem == nil {
			o.registry = &registry{spec: from.Spec, credential: from.Spec.Credentials.SecretRef.Name}
		}
	}
	return o
}

// same reports whether an object of a cluster is as it was, its status aside: each status that is written is
// an event.
func (o *object) same(before *object) bool {
	return before != nil && o.uid == before.uid && o.generation == before.generation &&
		o.problem == before.problem && o.dated == before.dated && (!o.dated || o.revokedAt.Equal(before.revokedAt))
}

// edited reports whether its author has changed an object since.
func (o *object) edited(since *object) bool {
	if o.file == "" {
		return !o.same(since)
	}
	return o.text != since.text
}

// confirmed reports whether conditions say that this generation of an object is in force.
func confirmed(conditions []metav1.Condition, generation int64, revoked bool) bool {
	valid := meta.FindStatusCondition(conditions, v1alpha1.Valid)
	return valid != nil && valid.Status == metav1.ConditionTrue && valid.ObservedGeneration == generation &&
		meta.IsStatusConditionTrue(conditions, v1alpha1.Revoked) == revoked
}

// revokedAt is the time in the annotation, or else of the condition.
func revokedAt(l *v1alpha1.License) (at time.Time, dated bool) {
	if at, err := v1alpha1.ParseTime(l.Annotations[v1alpha1.RevokedAtAnnotation]); err == nil && !at.IsZero() {
		return at.UTC(), true
	}
	c := meta.FindStatusCondition(l.Status.Conditions, v1alpha1.Revoked)
	if c != nil && c.Status == metav1.ConditionTrue {
		return c.LastTransitionTime.UTC(), false
	}
	return time.Time{}, false
}

// newLicense takes a license whose texts have been checked.
func newLicense(from *v1alpha1.License) *license {
	l := &catalog.License{Name: from.Name, App: from.Spec.AppSlug, Customer: from.Spec.CustomerName}
	if most := from.Spec.Limits.ConcurrentPulls; most != nil {
		l.ConcurrentPulls = int(*most)
	}
	l.Expires, _ = v1alpha1.ParseTime(from.Spec.ExpiresAt)
	l.Images = catalog.NewImages(from.Spec.Images)
	made := &license{}
	for _, each := range from.Spec.Credentials {
		credential := &catalog.Credential{License: l, Name: each.Name}
		credential.Expires, _ = v1alpha1.ParseTime(each.ExpiresAt)
		var hash [sha256.Size]byte
		_, _ = hex.Decode(hash[:], []byte(each.SHA256))
		credential.Hash = hash
		made.credentials = append(made.credentials, credential)
	}
	return made
}

// revokedSince returns the credentials of the license as one that is revoked.
func (l *license) revokedSince(at time.Time) []*catalog.Credential {
	var credentials []*catalog.Credential
	for _, each := range l.credentials {
		credential, revoked := *each, *each.License
		revoked.Revoked, revoked.RevokedAt = true, at
		credential.License = &revoked
		credentials = append(credentials, &credential)
	}
	return credentials
}

// inOneLine joins the lines of an error, for a log and a condition.
func inOneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
