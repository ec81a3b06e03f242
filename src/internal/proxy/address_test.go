// SPDX-License-Identifier: Apache-2.0

package proxy

import "testing"

func TestDefaultAddress(t *testing.T) {
	for inCluster, want := range map[bool]string{true: ":5002", false: "127.0.0.1:5002"} {
		if got := defaultAddress(5002, inCluster); got != want {
			t.Errorf("in a cluster: %v: %s, want %s", inCluster, got, want)
		}
	}
}

func TestOpenToOthers(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:5002": false, "127.1.2.3:0": false, "[::1]:5002": false, "[::ffff:127.0.0.1]:1": false, "localhost:5002": false,
		":5002": true, "0.0.0.0:5002": true, "[::]:5002": true, "192.0.2.1:5002": true, "proxy.example.com:5002": true, "5002": true,
	} {
		if got := openToOthers(address); got != want {
			t.Errorf("%q: %v, want %v", address, got, want)
		}
	}
}
