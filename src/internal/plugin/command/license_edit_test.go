// SPDX-License-Identifier: Apache-2.0

package command

import (
	"slices"
	"testing"
)

// TestLicenseEdit sets how much a customer may pull at once, and shows it.
func TestLicenseEdit(t *testing.T) {
	shops(t, func(t *testing.T, s *shop) {
		pulls := func(want int64) { // 0: as all others
			t.Helper()
			if got := s.stored("acme").Spec.Limits.ConcurrentPulls; (got != nil) != (want > 0) || got != nil && *got != want {
				t.Errorf("pulls at once: %v, want %d", got, want)
			}
		}
		h := made(t, s.license("create", "--app", "shop", "--customer", "Acme", "--concurrent-pulls", "12", "-o", "json"))
		if got := h.License.Spec.Limits.ConcurrentPulls; got == nil || *got != 12 {
			t.Errorf("printed %+v", h.License.Spec)
		}
		pulls(12)
		s.license("edit", "acme", "--concurrent-pulls", "200").want(t, 0, `license.*/acme edited, concurrent pulls: 200\n`, "")
		pulls(200)
		s.license("show", "acme").want(t, 0, `(?s).*At once: +200 pulls for each replica\n.*`, "")
		s.license("show", "acme", "-o", "json").want(t, 0, `(?s).*"limits": \{\s*"concurrentPulls": 200\s*\}.*`, "")
		s.license("edit", "acme", "--concurrent-pulls", "1", "--dry-run=client").want(t, 0, `license.*/acme edited, concurrent pulls: 1 \(dry run\)\n`, "")
		pulls(200)
		s.license("edit", "acme", "--concurrent-pulls", "default").want(t, 0, `license.*/acme edited, concurrent pulls: default\n`, "")
		pulls(0)
		s.license("show", "acme").want(t, 0, `(?s).*At once: +default pulls for each replica\n.*`, "")
		s.license("create", "--app", "shop", "--customer", "Beta").want(t, 0, `(?s).*`, "")
		if got := s.stored("beta").Spec.Limits.ConcurrentPulls; got != nil {
			t.Errorf("pulls at once: %d", *got)
		}
	})
}

// TestLicenseImages says at the making of a license, and later, what it opens.
func TestLicenseImages(t *testing.T) {
	shops(t, func(t *testing.T, s *shop) {
		opens := func(want ...string) {
			t.Helper()
			if got := s.stored("acme").Spec.Images; !slices.Equal(got, want) {
				t.Errorf("it opens %q, want %q", got, want)
			}
		}
		edit := func(says string, args ...string) {
			t.Helper()
			s.license(append([]string{"edit", "acme"}, args...)...).want(t, 0, `license.*/acme edited, images: `+says+`\n`, "")
		}
		h := made(t, s.license("create", "--app", "shop", "--customer", "Acme", "--image", "team/api:v1.*", "--image", "team/web", "-o", "json"))
		if got := h.License.Spec.Images; !slices.Equal(got, []string{"team/api:v1.*", "team/web"}) {
			t.Errorf("printed %q", got)
		}
		opens("team/api:v1.*", "team/web")
		s.license("show", "acme").want(t, 0, `(?s).*Images: +nothing but these\n +team/api:v1\.\*\n +team/web\n.*`, "")
		s.license("list", "-o", "wide").want(t, 0, `(?s).*IMAGES.*team/api:v1\.\*, team/web.*`, "")
		edit(`team/api:v1\.\*, team/web, team/api:v2\.\*`, "--add-image", "team/api:v2.*")
		opens("team/api:v1.*", "team/web", "team/api:v2.*")
		edit(`team/api:v1\.\*, team/api:v2\.\*, team/api:v3`, "--remove-image", "team/web", "--add-image", "team/api:v3")
		opens("team/api:v1.*", "team/api:v2.*", "team/api:v3")
		edit(`team/api:v3, team/api:v1\.\*`, "--image", "team/api:v3", "--image", "team/api:v1.*", "--image", "team/api:v3")
		opens("team/api:v3", "team/api:v1.*")
		s.license("edit", "acme", "--remove-image", "team/api:v3", "--remove-image", "team/api:v1.*").
			want(t, 1, "", `would have no pattern left, and then opens all images: write --all-images`)
		s.license("edit", "acme", "--image", "other", "--dry-run=client").want(t, 0, `license.*/acme edited, images: other \(dry run\)\n`, "")
		opens("team/api:v3", "team/api:v1.*")
		edit("all", "--all-images")
		opens()
		s.license("show", "acme").want(t, 0, `(?s).*Images: +all of the application's\n.*`, "")
	})
}
