// SPDX-License-Identifier: Apache-2.0

// Package registrytest is a registry to test against, and the network around it, for tests alone.
//
// A [Network] gives a test's servers the names that they have in the world, with TLS, so that a test can
// say what must never reach auth.example.net. It records every request. A [Registry] is a small OCI
// registry; rules make it deviate the way real ones do, and a [Realm] makes it ask for tokens. A [Script]
// expects exact requests, and any other fails the test.
package registrytest
