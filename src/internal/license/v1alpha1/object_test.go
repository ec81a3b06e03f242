// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
)

// asServed is a license as the API server has it.
func asServed(t *testing.T) *v1alpha1.License {
	t.Helper()
	l, ok := parsed(t, acme).(*v1alpha1.License)
	if !ok {
		t.Fatal("no license")
	}
	l.Namespace, l.UID, l.ResourceVersion, l.Generation = "ns", "uid", "7", 2
	l.CreationTimestamp = metav1.NewTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	l.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}
	l.Annotations = map[string]string{"kubectl.kubernetes.io/last-applied-configuration": "{}", "a": "b"}
	l.Status = v1alpha1.LicenseStatus{
		LastPulled: &metav1.Time{Time: l.CreationTimestamp.Time}, Pulls: 3,
		Conditions: []metav1.Condition{{Type: v1alpha1.Valid, Status: metav1.ConditionTrue, Reason: "InForce", LastTransitionTime: l.CreationTimestamp}},
	}
	return l
}

func TestObjectsGoThroughJSON(t *testing.T) {
	l := asServed(t)
	text, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	var again v1alpha1.License
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(l, &again); diff != "" {
		t.Errorf("a license (-sent +received):\n%s", diff)
	}
}

func TestMarshalWritesWhatAnAuthorWrites(t *testing.T) {
	text, err := v1alpha1.Marshal(asServed(t), parsed(t, version+"kind: ExternalRegistry\nmetadata: {name: quay}\nspec: {hostname: quay.io}"))
	if err != nil {
		t.Fatal(err)
	}
	want := version + `kind: License
metadata:
  annotations:
    a: b
  name: acme
  namespace: ns
spec:
  appSlug: my-app
  credentials:
  - name: license-id
    sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
  customerName: Acme
  expiresAt: "2027-01-01T00:00:00Z"
---
` + version + `kind: ExternalRegistry
metadata:
  name: quay
spec:
  hostname: quay.io
`
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("YAML (-want +got):\n%s", diff)
	}
}

func TestIDsAreLongAndPlain(t *testing.T) {
	first, second := v1alpha1.NewID(), v1alpha1.NewID()
	if first == second || len(first) < 26 || strings.Trim(first, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
		t.Errorf("ids %q and %q", first, second)
	}
}
