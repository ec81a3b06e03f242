// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"errors"

	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/strictyaml"
)

// ErrNoRepository is the problem of settings that name no repository. It is not a mistake: the package
// installs without one, and /health says what is missing.
var ErrNoRepository = errors.New("repository: is not set: set it to registry/path, or to user/repo on Docker Hub")

// Error is one defect in the values. Its text is one line and never holds a value.
type Error = strictyaml.Error
