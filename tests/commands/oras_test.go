// SPDX-License-Identifier: Apache-2.0

package commands_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// TestOras: push, attach, discover, copy with referrers in both directions, and delete; a customer
// discovers, pulls and copies.
func TestOras(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, p *place, pushing, pulling way) {
		content := harness.NewBlob(64 << 10)
		m := p.machine(t, map[string][]byte{"data": content.Content, "note": []byte("checked")})
		oras := func(args ...string) (stdout, home string) { return m.run(t, harness.Tool(t, "oras"), args...) }
		tag := "oras-" + pushing.tag()
		at := pushing.repository + ":" + tag

		out, _ := oras("push", "--plain-http", "--format=json", at, "data:application/octet-stream")
		subject := digestIn(t, out)
		p.upstream.AssertArrived(t, tag, subject)
		out, _ = oras("attach", "--plain-http", "--format=json", "--artifact-type=application/vnd.example.note", at, "note:text/plain")
		note := digestIn(t, out)
		p.upstream.AssertArrived(t, note, note)

		// Each is a process that has not seen yet whether the registry has a referrers API (quirk D10).
		bought := pulling.repository + ":" + tag
		for _, reference := range []string{at, bought} {
			if got := discovered(t, m, reference); !slices.Equal(got, []string{note}) {
				t.Errorf("oras discover %s finds %v, want %s", reference, got, note)
			}
			_, home := oras("pull", "--plain-http", reference)
			if got := harness.BlobOf(read(t, home, "data")); got.Digest != content.Digest {
				t.Errorf("oras pull %s brings other content", reference)
			}
		}
		for name, reference := range map[string]string{"pushed": at, "bought": bought} {
			layout := filepath.Join(t.TempDir(), name)
			oras("copy", "--recursive", "--from-plain-http", "--to-oci-layout", reference, layout+":v1")
			out, _ = oras("discover", "--oci-layout", "--format=json", layout+":v1")
			if digestIn(t, out) != note {
				t.Errorf("the copy of %s has no note: %s", reference, out)
			}
			to := pushing.repository + ":" + tag + "-" + name
			oras("copy", "--recursive", "--to-plain-http", "--from-oci-layout", layout+":v1", to)
			p.upstream.AssertArrived(t, tag+"-"+name, subject)
		}

		oras("manifest", "delete", "--plain-http", "--force", pushing.repository+"@"+note)
		p.upstream.AssertAbsent(t, note)
		for _, reference := range []string{at, bought} {
			if got := discovered(t, m, reference); len(got) > 0 {
				t.Errorf("oras discover %s finds %v, which is deleted", reference, got)
			}
		}
	})
}

// discovered lists the digests of what refers to an image.
func discovered(t *testing.T, m *machine, reference string) []string {
	t.Helper()
	out, _ := m.run(t, harness.Tool(t, "oras"), "discover", "--plain-http", "--format=json", reference)
	var tree struct{ Referrers []struct{ Digest string } }
	if err := json.Unmarshal([]byte(out), &tree); err != nil {
		t.Fatalf("oras discover: %v in %s", err, out)
	}
	var digests []string
	for _, referrer := range tree.Referrers {
		digests = append(digests, referrer.Digest)
	}
	return digests
}
