// SPDX-License-Identifier: Apache-2.0

package oci_test

import (
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

func TestValid(t *testing.T) {
	for _, host := range []string{"quay.io", "localhost:5000", "10.0.0.1", "[::1]", "[fd00::1]:443", "Registry-1.docker.io", "a:65535"} {
		if !oci.IsHost(host) {
			t.Errorf("%q is refused", host)
		}
	}
	for _, host := range []string{"", ".", "a..b", "-a", "a-", "a_b", "a:", "a:0", "a:65536", "a:+1", "a:b", "[::1", "::1", "[10.0.0.1]", "[fe80::1%eth0]", "a/b", "a b", "ü.de"} {
		if oci.IsHost(host) {
			t.Errorf("%q is taken", host)
		}
	}
}
