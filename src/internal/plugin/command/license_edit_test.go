// SPDX-License-Identifier: Apache-2.0

package command

import "testing"

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
