// SPDX-License-Identifier: Apache-2.0

package ambient_test

import (
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain/ambient"
)

func TestOfIsOneCloudAlone(t *testing.T) {
	registries := map[string]string{"aws": "123456789012.dkr.ecr.eu-west-3.amazonaws.com", "google": "eu.gcr.io", "azure": "team.azurecr.io"}
	for provider := range registries {
		for other, host := range registries {
			if k, err := ambient.Of(provider, host); (k != nil) != (provider == other) || (err == nil) != (provider == other) {
				t.Errorf("%s for %s: keychain %v, error %v", provider, host, k != nil, err)
			}
		}
	}
	tokens := metadataServer(t)
	k, err := ambient.Of("google", "eu.gcr.io")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.Credential(t.Context(), "eu.gcr.io"); err != nil || got.Password != "token 1" || tokens.Load() != 1 {
		t.Errorf("got %q, error %v", got.Password, err)
	}
}
