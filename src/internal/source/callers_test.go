// SPDX-License-Identifier: Apache-2.0

package source

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

// TestCallersOf: nobody becomes many by what he says of himself. Who connects counts first; of the API server's
// clients, the address that the API server has added.
func TestCallersOf(t *testing.T) {
	for _, test := range []struct {
		remote    string
		forwarded []string
		want      []string
	}{
		{"192.0.2.1:4000", nil, []string{"192.0.2.1"}},
		{"[2001:db8::1]:4000", nil, []string{"2001:db8::1"}},
		{"192.0.2.1:4000", []string{"198.51.100.7"}, []string{"192.0.2.1", "198.51.100.7"}},
		{"192.0.2.1:4000", []string{"203.0.113.9, 198.51.100.7"}, []string{"192.0.2.1", "198.51.100.7"}},
		{"192.0.2.1:4000", []string{"203.0.113.9", "2001:DB8:0::7"}, []string{"192.0.2.1", "2001:db8::7"}},
		{"192.0.2.1:4000", []string{"198.51.100.7, made up"}, []string{"192.0.2.1"}},
		{"192.0.2.1:4000", []string{"198.51.100.7,"}, []string{"192.0.2.1"}},
		{"@", nil, []string{"@"}},
	} {
		r := httptest.NewRequest(http.MethodGet, "/v2/", nil)
		r.RemoteAddr = test.remote
		for _, line := range test.forwarded {
			r.Header.Add("X-Forwarded-For", line)
		}
		if got := callersOf(r); !slices.Equal(got, test.want) {
			t.Errorf("%s %v: %v, want %v", test.remote, test.forwarded, got, test.want)
		}
	}
}
