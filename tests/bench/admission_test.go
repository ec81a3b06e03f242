// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseBenchmark(t *testing.T) {
	const output = `goos: linux
pkg: github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy
BenchmarkAdmission/10000/license-2         	  512345	      2300.5 ns/op	     696 B/op	       9 allocs/op
BenchmarkAdmission/10000/license           	  512345	      2400 ns/op
BenchmarkAdmission/10000/token-16          	  100000	     12345 ns/op
BenchmarkAdmission/10000/broken            	--- FAIL
PASS
`
	want := map[string][]float64{"license": {2300.5, 2400}, "token": {12345}}
	if diff := cmp.Diff(want, parseBenchmark(output)); diff != "" {
		t.Error(diff)
	}
}
