// SPDX-License-Identifier: Apache-2.0

package commands_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// TestNotation: sign, list and verify; a customer lists and verifies. Registries without a referrers API
// make every process find that out anew (quirk D10).
func TestNotation(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, p *place, pushing, pulling way) {
		m := p.machine(t, notationConfig(t, p))
		notation := func(args ...string) string {
			out, _ := m.run(t, harness.Tool(t, "notation"), args...)
			return out
		}
		digest := pushImage(t, pushing, "notation-"+pushing.tag())
		p.upstream.AssertArrived(t, digest, digest)
		notation("sign", "--insecure-registry", pushing.repository+"@"+digest)
		for _, w := range []way{pushing, pulling} {
			reference := w.repository + "@" + digest
			if out := notation("list", "--insecure-registry", reference); digestIn(t, out) == digest {
				t.Errorf("%s: notation list shows no signature: %s", w.name, out)
			}
			if out := notation("verify", "--insecure-registry", reference); !strings.Contains(out, "Successfully verified") {
				t.Errorf("%s: notation verify prints %s", w.name, out)
			}
		}
		unsigned := pushImage(t, pushing, "unsigned-"+pushing.tag())
		for _, w := range []way{pushing, pulling} {
			_, _, err := m.try(t, harness.Tool(t, "notation"), "verify", "--insecure-registry", w.repository+"@"+unsigned)
			if err == nil || !strings.Contains(err.Error(), "no signature is associated") {
				t.Errorf("%s: notation verify of an image without a signature: %v", w.name, err)
			}
		}
	})
}

// notationConfig is a configuration with a key, whose certificate the trust policy trusts.
func notationConfig(t *testing.T, p *place) map[string][]byte {
	t.Helper()
	_, home := p.machine(t, nil).run(t, harness.Tool(t, "notation"), "cert", "generate-test", "--default", "vendor.example.com")
	files := map[string][]byte{"notation/trustpolicy.json": []byte(`{"version": "1.0", "trustPolicies": [{
		"name": "all", "registryScopes": ["*"], "signatureVerification": {"level": "strict"},
		"trustStores": ["ca:vendor.example.com"], "trustedIdentities": ["*"]}]}`)}
	root := filepath.Join(home, "notation")
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, item fs.DirEntry, err error) error {
		if err == nil && !item.IsDir() {
			// The configuration names the key's files by their path.
			content := strings.ReplaceAll(string(read(t, root, path)), home, homeMark)
			files["notation/"+path] = []byte(content)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
