// SPDX-License-Identifier: Apache-2.0

package ambient

import (
	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
)

// New returns the keychain of the three clouds. Nothing is read, asked or kept before the first question for
// a registry of a cloud; answers are then remembered as [keychain.Cached] does.
func New() keychain.Keychain {
	return keychain.Chain(
		keychain.Match(IsAmazon, keychain.Cached(Amazon())),
		keychain.Match(IsGoogle, keychain.Cached(Google())),
		keychain.Match(IsAzure, keychain.Cached(Azure())),
	)
}

// Match reports whether the host is a registry of one of the clouds.
func Match(host string) bool {
	return IsAmazon(host) || IsGoogle(host) || IsAzure(host)
}
