// SPDX-License-Identifier: Apache-2.0

package license_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

const day = 24 * time.Hour

func stamp(t time.Time) string { return t.Format(time.RFC3339) }

// acme is a license with a credential.
func acme(expires string, credentials ...v1alpha1.Credential) *v1alpha1.License {
	l := &v1alpha1.License{Spec: v1alpha1.LicenseSpec{AppSlug: "shop", CustomerName: "Acme", ExpiresAt: expires, Credentials: credentials}}
	l.Name = "acme"
	if credentials == nil {
		l.Spec.Credentials = []v1alpha1.Credential{{Name: license.FirstCredential, SHA256: hash}}
	}
	return l
}

func TestNew(t *testing.T) {
	l, err := license.New(license.Request{App: "shop", Customer: "Acme & Söhne", Email: "a@b.example", Expires: now()}, hash)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Validate(v1alpha1.InCluster); err != nil {
		t.Error(err)
	}
	want := v1alpha1.LicenseSpec{
		AppSlug: "shop", CustomerName: "Acme & Söhne", CustomerEmail: "a@b.example", ExpiresAt: "2026-11-21T08:00:00Z",
		Credentials: []v1alpha1.Credential{{Name: "license-id", SHA256: hash}},
	}
	if diff := cmp.Diff(want, l.Spec); diff != "" || l.Name != "acme-s-hne" {
		t.Errorf("name %s\n%s", l.Name, diff)
	}
	if l, err := license.New(license.Request{App: "shop", Customer: "会社"}, hash); err == nil {
		t.Errorf("the name %q was made of nothing", l.Name)
	}
}

func TestNameOf(t *testing.T) {
	for customer, want := range map[string]string{
		"Acme": "acme", "  ACME, Inc.  ": "acme-inc", "a__b": "a-b", "": "", "-": "", strings.Repeat("ab ", 30): strings.TrimSuffix(strings.Repeat("ab-", 17)[:50], "-"),
	} {
		if got := license.NameOf(customer); got != want {
			t.Errorf("NameOf(%q) = %q, want %q", customer, got, want)
		}
	}
}

func TestRevokeAndRestore(t *testing.T) {
	l := acme("")
	license.Revoke(l, now())
	if license.StateOf(l, now()) != license.Revoked || !license.RevokedSince(l).Equal(now()) {
		t.Errorf("%+v", l)
	}
	license.Revoke(l, now().Add(day))
	if !license.RevokedSince(l).Equal(now()) {
		t.Error("revoking again forgets since when")
	}
	license.Restore(l)
	if license.StateOf(l, now()) != license.Valid || !license.RevokedSince(l).IsZero() {
		t.Errorf("%+v", l)
	}
	l.Spec.Revoked = true
	l.Status.Conditions = []metav1.Condition{{Type: v1alpha1.Revoked, Status: metav1.ConditionTrue, LastTransitionTime: metav1.NewTime(now())}}
	if !license.RevokedSince(l).Equal(now()) {
		t.Error("what the server noticed does not count")
	}
}

func TestExtend(t *testing.T) {
	tests := []struct{ old, end, want, problem string }{
		{stamp(now().Add(10 * day)), "30d", stamp(now().Add(40 * day)), ""},
		{stamp(now().Add(-10 * day)), "30d", stamp(now().Add(30 * day)), ""},
		{stamp(now().Add(10 * day)), "2w", stamp(now().Add(24 * day)), ""},
		{stamp(now().Add(10 * day)), "1h30m", stamp(now().Add(10*day + 90*time.Minute)), ""},
		{stamp(now().Add(90 * day)), "2027-01-01", "2027-01-01T00:00:00Z", ""},
		{stamp(now()), "2027-01-01T02:00:00+02:00", "2027-01-01T00:00:00Z", ""},
		{stamp(now()), "never", "", ""},
		{"", "2027-01-01", "2027-01-01T00:00:00Z", ""},
		{"", "30d", "", "a span of time would shorten it"},
		{"soon", "30d", "soon", "expiresAt is not a time of RFC 3339"},
	}
	for _, tt := range tests {
		t.Run(tt.old+" by "+tt.end, func(t *testing.T) {
			end, err := license.ParseEnd(tt.end)
			if err != nil {
				t.Fatal(err)
			}
			l := acme(tt.old)
			err = license.Extend(l, end, now())
			if l.Spec.ExpiresAt != tt.want || (err != nil) != (tt.problem != "") || err != nil && !strings.Contains(err.Error(), tt.problem) {
				t.Errorf("%q, %v; want %q, %s", l.Spec.ExpiresAt, err, tt.want, tt.problem)
			}
		})
	}
}

func TestParseEndRefuses(t *testing.T) {
	for _, text := range []string{"", "30", "0d", "-1d", "30m d", "1y", "tomorrow", "2027-13-01", "2027-02-30", "99999999999999999999d", "9999999w", "0s", "-5h"} {
		if end, err := license.ParseEnd(text); err == nil {
			t.Errorf("%q is %s", text, end.From(now()))
		}
	}
}

func TestRotate(t *testing.T) {
	soon, late, past := stamp(now().Add(day)), stamp(now().Add(90*day)), stamp(now().Add(-day))
	week := stamp(now().Add(7 * day))
	credential := func(name, expires string) v1alpha1.Credential {
		return v1alpha1.Credential{Name: name, SHA256: hash, ExpiresAt: expires}
	}
	added := func(name string) v1alpha1.Credential { return v1alpha1.Credential{Name: name, SHA256: "new"} }
	tests := []struct {
		name      string
		keep      time.Duration
		old, want []v1alpha1.Credential
	}{
		{"the old one ends", 7 * day, []v1alpha1.Credential{credential("license-id", "")}, []v1alpha1.Credential{credential("license-id", week), added("license-id-2")}},
		{"one that ends sooner", 7 * day, []v1alpha1.Credential{credential("license-id", soon)}, []v1alpha1.Credential{credential("license-id", soon), added("license-id-2")}},
		{"one that ends later", 7 * day, []v1alpha1.Credential{credential("license-id", late)}, []v1alpha1.Credential{credential("license-id", week), added("license-id-2")}},
		{"one that has ended goes", 7 * day, []v1alpha1.Credential{credential("license-id", past), credential("license-id-2", "")}, []v1alpha1.Credential{credential("license-id-2", week), added("license-id-3")}},
		{"at once", 0, []v1alpha1.Credential{credential("license-id", ""), credential("ci", "")}, []v1alpha1.Credential{added("license-id-2")}},
		{"none before", 7 * day, []v1alpha1.Credential{}, []v1alpha1.Credential{added("license-id")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := acme("", tt.old...)
			l.Spec.Credentials = tt.old
			if err := license.Rotate(l, "new", tt.keep, now()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, l.Spec.Credentials); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRotateRefusesTooMany(t *testing.T) {
	l := acme("")
	l.Spec.Credentials = nil
	for i := range 16 {
		l.Spec.Credentials = append(l.Spec.Credentials, v1alpha1.Credential{Name: fmt.Sprint("c", i), SHA256: hash})
	}
	before := l.DeepCopy()
	if err := license.Rotate(l, "new", day, now()); err == nil || !strings.Contains(err.Error(), "has 16 credentials") {
		t.Error(err)
	}
	if diff := cmp.Diff(before.Spec, l.Spec); diff != "" {
		t.Errorf("it changed all the same:\n%s", diff)
	}
	if err := license.Rotate(l, "new", 0, now()); err != nil || len(l.Spec.Credentials) != 1 {
		t.Errorf("%d credentials, %v", len(l.Spec.Credentials), err)
	}
}

func TestStateOf(t *testing.T) {
	past, later := stamp(now()), stamp(now().Add(time.Second))
	ended := v1alpha1.Credential{Name: "a", SHA256: hash, ExpiresAt: past}
	going := v1alpha1.Credential{Name: "b", SHA256: strings.Repeat("0", 64), ExpiresAt: later}
	refused := acme("")
	refused.Status.Conditions = []metav1.Condition{{Type: v1alpha1.Valid, Status: metav1.ConditionFalse}}
	without, withoutAndEnded := acme(later), acme(past)
	without.Spec.Credentials, withoutAndEnded.Spec.Credentials = nil, nil
	revoked := acme(past)
	revoked.Spec.Revoked = true
	tests := []struct {
		name string
		l    *v1alpha1.License
		want license.State
	}{
		{"without an end", acme(""), license.Valid},
		{"a second ahead of the end", acme(later), license.Valid},
		{"at the end", acme(past), license.Expired},
		{"revoked and ended", revoked, license.Revoked},
		{"all credentials ended", acme(later, ended), license.Expired},
		{"without a credential", without, license.NoIDs},
		{"ended, without a credential", withoutAndEnded, license.Expired},
		{"one credential goes on", acme(later, ended, going), license.Valid},
		{"refused by the server", refused, license.Invalid},
		{"an end that is no time", acme("soon"), license.Invalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := license.StateOf(tt.l, now()); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}
