// SPDX-License-Identifier: Apache-2.0

package license

import (
	"context"
	"errors"
	"fmt"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
)

// Add creates a license in a store. One that was not named by hand gets a number behind its name when another
// license has that.
func Add(ctx context.Context, store Store, l *v1alpha1.License, named bool) (*v1alpha1.License, error) {
	const enough = 100
	base := l.Name
	for n := 2; ; n++ {
		created, err := store.Create(ctx, l)
		if _, taken := errors.AsType[*ExistsError](err); named || !taken || n > enough {
			return created, err
		}
		l.Name = fmt.Sprintf("%s-%d", base, n)
	}
}
