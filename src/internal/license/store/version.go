// SPDX-License-Identifier: Apache-2.0

package store

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
	"unique"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
)

// key names an object.
type key struct {
	of   unique.Handle[origin]
	name string
}

// origin is what many objects have in common.
type origin struct {
	// place is the file that has them; empty in a cluster.
	place string
	kind  string
}

func newKey(place, kind, name string) key { return key{unique.Make(origin{place, kind}), name} }

func (k key) place() string { return k.of.Value().place }

func (k key) kind() string { return k.of.Value().kind }

// String is how a message names it.
func (k key) String() string {
	if k.place() == "" {
		return k.kind() + " " + k.name
	}
	return k.kind() + " " + k.name + " in " + k.place()
}

// report is what a source says of one object.
type report struct {
	key key
	// gone says that there is no such object any more; nothing else is set then.
	gone bool
	// same says that the object is as it was, but for its position; nothing else is set then.
	same bool
	state
}

// state is an object as far as it is needed, and no more: there may be many.
type state struct {
	// version is what the object says, if it is valid.
	version
	// problem is why it is not.
	problem error
	// created is the object's age, in seconds since 1970, and position its place among those of the same age.
	created  int64
	position int32
	// revoked says that a license wants to be: also one that is not valid. revokedAt is since when, 0 where that is not known, and dated
	// says that the author wrote it.
	revoked, dated bool
	revokedAt      int64
	// uid tells objects of the same name apart, and edition what an author wrote; zero where that is not known.
	uid, edition [16]byte
	// generation is the API server's number of it, and observed what the conditions say.
	generation int64
	observed   unique.Handle[standing]
}

// version is a license or a registry that is valid, or nothing.
type version struct {
	license  *license
	registry *registry
}

func (v version) empty() bool { return v == version{} }

// license is a valid one.
type license struct {
	*catalog.License
	credentials []*catalog.Credential
}

// registry is a valid one.
type registry struct {
	spec v1alpha1.ExternalRegistrySpec
	// credential is where its credential is read from; empty where nothing is to be read.
	credential string
}

// read makes a report of an object from a place, with what was found wrong with it.
func read(place string, object v1alpha1.Object, problem error) report {
	r := report{state: state{problem: problem, generation: object.GetGeneration()}}
	if created := object.GetCreationTimestamp(); !created.IsZero() {
		r.created = created.Unix()
	}
	switch o := object.(type) {
	case *v1alpha1.License:
		r.key = newKey(place, v1alpha1.LicenseKind, o.Name)
		r.revoked = o.Spec.Revoked
		r.revokedAt, r.dated = revokedAt(o)
		r.observed = observe(o.Status.Conditions)
		if r.problem == nil {
			r.license = newLicense(o)
		}
	case *v1alpha1.ExternalRegistry:
		r.key = newKey(place, v1alpha1.RegistryKind, o.Name)
		r.observed = observe(o.Status.Conditions)
		if r.problem == nil {
			r.registry = &registry{spec: o.Spec, credential: o.Spec.Credentials.SecretRef.Name}
		}
	}
	return r
}

// revokedAt is the time that the annotation says, or else when the condition was set.
func revokedAt(l *v1alpha1.License) (at int64, dated bool) {
	if at, err := v1alpha1.ParseTime(l.Annotations[v1alpha1.RevokedAtAnnotation]); err == nil && !at.IsZero() {
		return at.Unix(), true
	}
	if c := meta.FindStatusCondition(l.Status.Conditions, v1alpha1.Revoked); c != nil && c.Status == metav1.ConditionTrue {
		return c.LastTransitionTime.Unix(), false
	}
	return 0, false
}

// newLicense takes a license whose texts have been checked. What many have in common they share.
func newLicense(o *v1alpha1.License) *license {
	l := &catalog.License{Name: o.Name, App: unique.Make(o.Spec.AppSlug).Value(), Customer: o.Spec.CustomerName, Revoked: o.Spec.Revoked}
	l.Expires, _ = v1alpha1.ParseTime(o.Spec.ExpiresAt)
	made := &license{License: l, credentials: make([]*catalog.Credential, len(o.Spec.Credentials))}
	for i, each := range o.Spec.Credentials {
		credential := &catalog.Credential{License: l, Name: unique.Make(each.Name).Value()}
		credential.Expires, _ = v1alpha1.ParseTime(each.ExpiresAt)
		var hash [sha256.Size]byte
		_, _ = hex.Decode(hash[:], []byte(each.SHA256))
		credential.Hash = hash
		made.credentials[i] = credential
	}
	return made
}

// withdrawn is the same license, revoked.
func (l *license) withdrawn(at int64) *license {
	if l.Revoked {
		return l
	}
	revoked := *l.License
	revoked.Revoked, revoked.RevokedAt = true, time.Unix(at, 0).UTC()
	made := &license{License: &revoked}
	for _, each := range l.credentials {
		credential := *each
		credential.License = &revoked
		made.credentials = append(made.credentials, &credential)
	}
	return made
}
