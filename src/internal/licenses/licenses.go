// SPDX-License-Identifier: Apache-2.0

// Package licenses is what a vendor does with licenses: make, look up, revoke, extend, rotate, delete.
//
// What is done is decided by functions on one license, which know no place; a [Store] is the place: the custom resources of a cluster
// ([Cluster]), or the directory of YAML files that the server reads outside of one ([Directory]). Both write only what changed, and
// neither overwrites what somebody else changed meanwhile. The package refuses to know license ids: it takes their hash, and whoever
// made an id hands it on.
package licenses

import (
	"context"
	"fmt"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy"
)

// Store is where licenses are kept. An error says what was attempted and where, and that a license is not there is a [*NotFoundError].
type Store interface {
	// List returns all licenses, ordered by name.
	List(ctx context.Context) ([]imageproxy.License, error)
	// Get returns one.
	Get(ctx context.Context, name string) (*imageproxy.License, error)
	// Create adds one. That the name is taken is an [*ExistsError].
	Create(ctx context.Context, l *imageproxy.License) (*imageproxy.License, error)
	// Update lets change edit the license as it is now, and writes the difference. When somebody else was faster, change is called
	// again with what they wrote.
	Update(ctx context.Context, name string, change func(*imageproxy.License) error) (*imageproxy.License, error)
	// Delete removes one.
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

// Preview is a store that reads from another one and writes nothing.
func Preview(s Store) Store { return preview{s} }

type preview struct{ Store }

func (preview) Create(_ context.Context, l *imageproxy.License) (*imageproxy.License, error) {
	return l, nil
}

func (p preview) Update(ctx context.Context, name string, change func(*imageproxy.License) error) (*imageproxy.License, error) {
	l, err := p.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	return l, change(l)
}

func (p preview) Delete(ctx context.Context, name string) error {
	_, err := p.Get(ctx, name)
	return err
}
