// SPDX-License-Identifier: Apache-2.0

package ambient

import (
	"fmt"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
)

// Of returns the keychain of one cloud alone, "aws", "google" or "azure", for a registry of it. A registry of
// another is an error: the identity would be of no use there.
func Of(provider, host string) (keychain.Keychain, error) {
	switch {
	case provider == "aws" && IsAmazon(host):
		return keychain.Cached(Amazon()), nil
	case provider == "google" && IsGoogle(host):
		return keychain.Cached(Google()), nil
	case provider == "azure" && IsAzure(host):
		return keychain.Cached(Azure()), nil
	}
	return nil, fmt.Errorf("provider %s has no registry %s: name the cloud that the registry belongs to, or give a docker config", provider, host)
}
