// SPDX-License-Identifier: Apache-2.0

package license

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
)

// Store is where licenses are kept. An error says what was attempted and where, and that a license is not
// there is a [*NotFoundError].
type Store interface {
	// List returns all licenses, ordered by name.
	List(ctx context.Context) ([]v1alpha1.License, error)
	// Get returns one.
	Get(ctx context.Context, name string) (*v1alpha1.License, error)
	// Create adds one. That the name is taken is an [*ExistsError].
	Create(ctx context.Context, l *v1alpha1.License) (*v1alpha1.License, error)
	// Update lets change edit the license as it is now, and writes the difference. When somebody else was
	// faster, change is called again with what they wrote.
	Update(ctx context.Context, name string, change func(*v1alpha1.License) error) (*v1alpha1.License, error)
	// Revoke ends one, also one with a mistake: what it said before the mistake may be in force. Of such a
	// one, what comes back has the name and the revocation alone.
	Revoke(ctx context.Context, name string, now time.Time) (*v1alpha1.License, error)
	// Delete removes one, also one with a mistake.
	Delete(ctx context.Context, name string) error
}

// NotFoundError says that there is no such license.
type NotFoundError struct{ Name, Place string }

// Error implements error.
func (e *NotFoundError) Error() string {
	return fmt.Sprintf("there is no license %q in %s", e.Name, e.Place)
}

// ExistsError says that the name is taken.
type ExistsError struct{ Name, Place string }

// Error implements error.
func (e *ExistsError) Error() string {
	return fmt.Sprintf("there is a license %q in %s already; choose another name", e.Name, e.Place)
}

// MistakeError says that there is a license, and what is wrong with it.
type MistakeError struct {
	Name string
	Err  error
}

// Error implements error.
func (e *MistakeError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong.
func (e *MistakeError) Unwrap() error { return e.Err }

// revoked is what can be said of the license once it is revoked.
func (e *MistakeError) revoked(now time.Time) *v1alpha1.License {
	l := &v1alpha1.License{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.LicenseKind},
		ObjectMeta: metav1.ObjectMeta{Name: e.Name},
	}
	Revoke(l, now)
	return l
}

// Preview is a store that reads from another one and writes nothing.
func Preview(s Store) Store { return preview{s} }

type preview struct{ Store }

func (preview) Create(_ context.Context, l *v1alpha1.License) (*v1alpha1.License, error) {
	return l, nil
}

func (p preview) Update(
	ctx context.Context, name string, change func(*v1alpha1.License) error,
) (*v1alpha1.License, error) {
	l, err := p.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	return l, change(l)
}

func (p preview) Revoke(ctx context.Context, name string, now time.Time) (*v1alpha1.License, error) {
	l, err := p.Update(ctx, name, func(l *v1alpha1.License) error { Revoke(l, now); return nil })
	if mistake, ok := errors.AsType[*MistakeError](err); ok {
		return mistake.revoked(now), nil
	}
	return l, err
}

func (p preview) Delete(ctx context.Context, name string) error {
	_, err := p.Get(ctx, name)
	if _, mistaken := errors.AsType[*MistakeError](err); mistaken {
		return nil
	}
	return err
}
