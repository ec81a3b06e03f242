// SPDX-License-Identifier: Apache-2.0

// Package ginkgo pins the conformance suite as it was until 2025, which is built from here as a test binary.
package ginkgo

import (
	// Never run: the suite is in this package's tests.
	_ "github.com/opencontainers/distribution-spec/conformance"
)
