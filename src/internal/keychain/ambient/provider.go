// SPDX-License-Identifier: Apache-2.0

package ambient

import (
	"fmt"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain/amazon"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain/azure"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain/google"
)

// Of returns the keychain of one cloud alone, "aws", "google" or "azure", for a registry of it. A registry of another is an error: the
// identity would be of no use there.
func Of(provider, host string) (keychain.Keychain, error) {
	switch {
	case provider == "aws" && amazon.Match(host):
		return keychain.Cached(amazon.New()), nil
	case provider == "google" && google.Match(host):
		return keychain.Cached(google.New()), nil
	case provider == "azure" && azure.Match(host):
		return keychain.Cached(azure.New()), nil
	}
	return nil, fmt.Errorf("provider %s has no registry %s: name the cloud that the registry belongs to, or give a docker config", provider, host)
}
