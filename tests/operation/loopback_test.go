// SPDX-License-Identifier: Apache-2.0

package operation_test

import (
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

const warning = "everybody who reaches this address can push with the operator's credential: use a loopback address"

// TestTryOutMeansLoopback: outside of a cluster nothing listens on other addresses unless a flag says so, and
// then the log warns.
func TestTryOutMeansLoopback(t *testing.T) {
	t.Parallel()
	_, help, _ := command(t, "serve", "--help")
	for _, want := range []string{`(default "127.0.0.1:5002")`, `(default "127.0.0.1:8081")`} {
		if !strings.Contains(help, want) {
			t.Errorf("the help does not say %s", want)
		}
	}
	for address, warned := range map[string]bool{"127.0.0.1:0": false, "0.0.0.0:0": true} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			server := harness.Start(t, harness.Options{Flags: []string{"--embedded-registry", "--listen-address=" + address}})
			server.Stop(t) // so that the log is whole
			if got := len(server.Stderr.Records(warning)) > 0; got != warned {
				t.Errorf("warned: %v, want %v:\n%s", got, warned, server.Stderr)
			}
		})
	}
}
