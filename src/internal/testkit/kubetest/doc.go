// SPDX-License-Identifier: Apache-2.0

// Package kubetest is a double of the API server: the Secrets and custom resources of one namespace, for
// tests alone.
//
// It speaks the wire format behind an [http.RoundTripper], so that tests use the real clients with their
// real types, also in a synctest bubble.
package kubetest
