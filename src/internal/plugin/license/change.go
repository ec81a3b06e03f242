// SPDX-License-Identifier: Apache-2.0

package license

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
)

// FirstCredential is what the first credential of a license is called; later ones have a number behind it.
const FirstCredential = "license-id"

// maxCredentials is what the objects allow.
const maxCredentials = 16

// Request is what a new license is made from.
type Request struct {
	// Name is the object's; empty: made from the customer's.
	Name string
	// App is the slug of the application, Customer and Email are whose the license is.
	App, Customer, Email string
	// Expires is when it ends; the zero time: never.
	Expires time.Time
	// Images are patterns of those that it opens; none: all of the application's.
	Images []string
	// ConcurrentPulls is how many blobs the customer gets at once; nil: as many as is usual.
	ConcurrentPulls *int64
}

// New makes a license that the id with the hash opens.
func New(r Request, hash string) (*v1alpha1.License, error) {
	if r.Name == "" {
		if r.Name = NameOf(r.Customer); r.Name == "" {
			return nil, errors.New("the customer's name makes no license name: write NAME, in lower-case letters, digits and dashes")
		}
	}
	return &v1alpha1.License{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.LicenseKind},
		ObjectMeta: metav1.ObjectMeta{Name: r.Name},
		Spec: v1alpha1.LicenseSpec{
			AppSlug: r.App, CustomerName: r.Customer, CustomerEmail: r.Email, ExpiresAt: timestamp(r.Expires),
			Images:      slices.Clone(r.Images),
			Credentials: []v1alpha1.Credential{{Name: FirstCredential, SHA256: hash}},
			Limits:      v1alpha1.Limits{ConcurrentPulls: r.ConcurrentPulls},
		},
	}, nil
}

// NameOf makes the name of an object from that of a customer: "Acme & Söhne" is "acme-s-hne". It is empty
// where nothing is left.
func NameOf(customer string) string {
	const longest = 50 // leaves room for a number, and for names made of this one
	name := regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(customer), "-")
	return strings.Trim(name[:min(len(name), longest)], "-")
}

// Revoke ends the license. One that is revoked stays as it is, so that it is known since when.
func Revoke(l *v1alpha1.License, now time.Time) {
	if l.Spec.Revoked {
		return
	}
	l.Spec.Revoked = true
	if l.Annotations == nil {
		l.Annotations = map[string]string{}
	}
	l.Annotations[v1alpha1.RevokedAtAnnotation] = timestamp(now)
}

// Restore takes a revocation back.
func Restore(l *v1alpha1.License) {
	l.Spec.Revoked = false
	delete(l.Annotations, v1alpha1.RevokedAtAnnotation)
}

// Extend sets another end. A span of time counts from the old end when that lies ahead, else
// from now.
func Extend(l *v1alpha1.License, end End, now time.Time) error {
	old, err := v1alpha1.ParseTime(l.Spec.ExpiresAt)
	if err != nil {
		return fmt.Errorf("license %s: expiresAt %w; correct it first", l.Name, err)
	}
	if end.span > 0 && old.IsZero() {
		return fmt.Errorf("license %s does not end, so a span of time would shorten it; give a date to limit it", l.Name)
	}
	from := now
	if old.After(now) {
		from = old
	}
	l.Spec.ExpiresAt = timestamp(end.From(from))
	return nil
}

// Rotate adds a credential, and lets the old ones end after keep, if they do not end before; with zero they
// are removed. Those that have ended are removed in any case.
func Rotate(l *v1alpha1.License, hash string, keep time.Duration, now time.Time) error {
	name := nextName(l.Spec.Credentials)
	var kept []v1alpha1.Credential
	for _, each := range l.Spec.Credentials {
		ends, err := v1alpha1.ParseTime(each.ExpiresAt)
		if err != nil {
			return fmt.Errorf("license %s: credential %s: expiresAt %w; correct it first", l.Name, each.Name, err)
		}
		if keep <= 0 || !ends.IsZero() && !ends.After(now) {
			continue
		}
		if last := now.Add(keep); ends.IsZero() || ends.After(last) {
			each.ExpiresAt = timestamp(last)
		}
		kept = append(kept, each)
	}
	if len(kept) >= maxCredentials {
		return fmt.Errorf("license %s has %d credentials that have not ended, and cannot have more; remove them with --now",
			l.Name, len(kept))
	}
	l.Spec.Credentials = append(kept, v1alpha1.Credential{Name: name, SHA256: hash})
	return nil
}

// nextName is the first name that no credential has had, as far as can be seen.
func nextName(credentials []v1alpha1.Credential) string {
	name := FirstCredential
	for n := 2; slices.ContainsFunc(credentials, func(c v1alpha1.Credential) bool { return c.Name == name }); n++ {
		name = fmt.Sprintf("%s-%d", FirstCredential, n)
	}
	return name
}

// timestamp writes a time as the objects have it; the zero time is empty.
func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
