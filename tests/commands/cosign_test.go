// SPDX-License-Identifier: Apache-2.0

package commands_test

import (
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// TestCosign: sign with a key and without a transparency log, verify and tree; a customer verifies and
// sees the tree.
func TestCosign(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, p *place, pushing, pulling way) {
		cosign := harness.Tool(t, "cosign")
		_, home := p.machine(t, nil).run(t, cosign, "generate-key-pair")
		m := p.machine(t, map[string][]byte{
			"cosign.key": read(t, home, "cosign.key"), "cosign.pub": read(t, home, "cosign.pub"),
		}, "COSIGN_EXPERIMENTAL=1") // for signatures that are referrers
		for _, mode := range []string{"legacy", "oci-1-1"} {
			digest := pushImage(t, pushing, "cosign-"+mode+"-"+pushing.tag())
			at := "@" + digest
			m.run(t, cosign, "sign", "--yes", "--key=cosign.key", "--tlog-upload=false", "--allow-http-registry",
				"--registry-referrers-mode="+mode, pushing.repository+at)
			for _, w := range []way{pushing, pulling} {
				verify := []string{
					"verify", "--key=cosign.pub", "--insecure-ignore-tlog=true", "--allow-http-registry", w.repository + at,
				}
				if mode == "oci-1-1" {
					verify = append(verify, "--experimental-oci11=true")
				}
				if out, _ := m.run(t, cosign, verify...); !strings.Contains(out, digest) {
					t.Errorf("%s, %s: cosign verify prints %s", w.name, mode, out)
				}
				tree := []string{"tree", "--allow-http-registry", w.repository + at}
				if mode == "oci-1-1" {
					tree = append(tree, "--experimental-oci11=true")
				}
				out, _ := m.run(t, cosign, tree...)
				if digestIn(t, out) == digest {
					t.Errorf("%s, %s: cosign tree shows no signature: %s", w.name, mode, out)
				}
			}
		}
	})
}
