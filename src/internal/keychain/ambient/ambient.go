// SPDX-License-Identifier: Apache-2.0

// Package ambient is the identity that a cloud gives to the machine, for the registries of that cloud: Amazon's, Google's and
// Azure's. It is the only package that knows all three, so that the rest of the server is built without knowing any; it refuses
// nothing but does nothing for the registries of others.
package ambient

import (
	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain/amazon"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain/azure"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain/google"
)

// New returns the keychain of the three clouds. Nothing is read, asked or kept before the first question for a registry of a
// cloud; answers are then remembered as [keychain.Cached] does.
func New() keychain.Keychain {
	return keychain.Chain(
		keychain.Match(amazon.Match, keychain.Cached(amazon.New())),
		keychain.Match(google.Match, keychain.Cached(google.New())),
		keychain.Match(azure.Match, keychain.Cached(azure.New())),
	)
}

// Match reports whether the host is a registry of one of the clouds.
func Match(host string) bool {
	return amazon.Match(host) || google.Match(host) || azure.Match(host)
}
