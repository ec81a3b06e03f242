// SPDX-License-Identifier: Apache-2.0

package license_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

func now() time.Time { return time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC) }

const (
	head = "apiVersion: imageproxy.apps.tanzu.vmware.com/v1alpha1\nkind: License\n"
	hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
)

// written is a file as people write them.
const written = `# The customers of the shop.

# Acme pays in advance.
` + head + `
metadata: {name: acme}   # as in the CRM
spec:
  appSlug: shop
  customerName: "Acme"     # not Acme Inc.

  # since the incident
  credentials:
  - name: license-id   # the first
    sha256: ` + hash + `

  expiresAt: 2027-01-01T00:00:00Z  # paid until then
# the end
--- # free of charge
` + head + `metadata:
    name: beta
spec:
    appSlug: shop
    customerName: Beta

    credentials: [{name: license-id, sha256: ` + "50d858e0985ecc7f60418aaf0cc5ab587f42c2570a884095a9e8ccacd0f6545c" + `}]
---
apiVersion: imageproxy.apps.tanzu.vmware.com/v1alpha1
kind: ExternalRegistry
metadata: {name: quay}
spec:   {hostname: quay.io}
`

// TestUpdateEditsInPlace compares whole files: what was not changed must be as it was, to the byte.
func TestUpdateEditsInPlace(t *testing.T) {
	const other = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	revoke := func(l *v1alpha1.License) error { license.Revoke(l, now()); return nil }
	rotate := func(keep time.Duration) func(*v1alpha1.License) error {
		return func(l *v1alpha1.License) error { return license.Rotate(l, other, keep, now()) }
	}
	extend := func(text string) func(*v1alpha1.License) error {
		return func(l *v1alpha1.License) error {
			end, err := license.ParseEnd(text)
			if err != nil {
				return err
			}
			return license.Extend(l, end, now())
		}
	}
	limit := func(most int64) func(*v1alpha1.License) error {
		return func(l *v1alpha1.License) error {
			l.Spec.Limits.ConcurrentPulls = &most
			return nil
		}
	}
	open := func(images ...string) func(*v1alpha1.License) error {
		return func(l *v1alpha1.License) error { return license.ImageChange{Set: images}.Apply(l) }
	}
	tests := []struct {
		name, license string
		change        func(*v1alpha1.License) error
		replace       []string // old, new
	}{
		{"nothing", "acme", func(*v1alpha1.License) error { return nil }, nil},
		{"extend", "acme", extend("2028-01-01"), []string{"expiresAt: 2027-01-01T00:00:00Z  # paid", "expiresAt: 2028-01-01T00:00:00Z # paid"}},
		{"never", "acme", extend("never"), []string{"  expiresAt: 2027-01-01T00:00:00Z  # paid until then\n", ""}},
		{"revoke", "acme", revoke, []string{
			"metadata: {name: acme}   # as", `metadata: {name: acme, annotations: {imageproxy.apps.tanzu.vmware.com/revoked-at: "2026-11-21T08:00:00Z"}} # as`,
			"# paid until then\n", "# paid until then\n  revoked: true\n",
		}},
		{"rotate", "acme", rotate(7 * 24 * time.Hour), []string{
			"    sha256: " + hash + "\n", "    sha256: " + hash + "\n    expiresAt: \"2026-11-28T08:00:00Z\"\n  - name: license-id-2\n    sha256: " + other + "\n",
		}},
		{"limit", "acme", limit(5), []string{"# paid until then\n", "# paid until then\n  limits:\n    concurrentPulls: 5\n"}},
		{"images", "acme", open("team/web", "team/api:v1.*"), []string{"# paid until then\n", "# paid until then\n  images:\n  - team/web\n  - team/api:v1.*\n"}},
		{"rotate at once", "acme", rotate(0), []string{"license-id   # the first\n    sha256: " + hash + "\n", "license-id-2\n    sha256: " + other + "\n"}},
		{"revoke one with four spaces", "beta", revoke, []string{
			"    name: beta\n", "    name: beta\n    annotations:\n        imageproxy.apps.tanzu.vmware.com/revoked-at: \"2026-11-21T08:00:00Z\"\n",
			"545c}]\n", "545c}]\n    revoked: true\n",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "customers.yaml")
			if err := os.WriteFile(file, []byte(written), 0o640); err != nil {
				t.Fatal(err)
			}
			store := license.NewDirectory(dir, func(err error) { t.Error(err) })
			changed, err := store.Update(t.Context(), tt.license, tt.change)
			if err != nil {
				t.Fatal(err)
			}
			want := written
			for i := 0; i+1 < len(tt.replace); i += 2 {
				if strings.Count(want, tt.replace[i]) != 1 {
					t.Fatalf("%q is not there once", tt.replace[i])
				}
				want = strings.Replace(want, tt.replace[i], tt.replace[i+1], 1)
			}
			got, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, string(got)); diff != "" {
				t.Error(diff)
			}
			again, err := store.Get(t.Context(), tt.license)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(changed.Spec, again.Spec); diff != "" {
				t.Errorf("what was returned is not what was stored:\n%s", diff)
			}
			info, err := os.Stat(file)
			if err != nil || info.Mode().Perm() != 0o640 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
		})
	}
}
