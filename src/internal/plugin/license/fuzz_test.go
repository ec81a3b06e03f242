// SPDX-License-Identifier: Apache-2.0

package license

import (
	"bytes"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
)

// FuzzEdit: whatever a valid license is written like, an edit means exactly what it should, or is refused;
// taken back, it means what was there before.
func FuzzEdit(f *testing.F) {
	const least = "apiVersion: imageproxy.apps.tanzu.vmware.com/v1alpha1\nkind: License\n"
	const credential = "{name: a, sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}"
	f.Add([]byte(least + "metadata: {name: acme}\nspec: {appSlug: a, customerName: b, credentials: [" + credential + "]}"))
	f.Add([]byte("--- # x\n" + least + "\nmetadata:\n   name: acme # y\n\nspec:\n   appSlug: a\n   customerName: |\n     b\n   credentials:\n    - " + credential + "\n...\n"))
	f.Add([]byte(`{"apiVersion": "imageproxy.apps.tanzu.vmware.com/v1alpha1", "kind": "License", "metadata": {"name": "a"}, "spec": {"appSlug": "a", "customerName": "b"}}`))
	f.Add([]byte(least + "metadata: &m {name: acme}\nspec:\n  expiresAt: ''\n  revoked: false\n  appSlug: a\n  customerName: >-\n    b\n\n    c\n  credentials:\n  # none\n"))
	f.Add([]byte("? apiVersion\n: imageproxy.apps.tanzu.vmware.com/v1alpha1\n? kind\n: License\nmetadata: {name: a, annotations: {}}\nspec: {appSlug: a, customerName: b}\r\n"))
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text []byte) {
		documents := v1alpha1.Documents("", text)
		if len(documents) != 1 || documents[0].Err != nil || documents[0].Object.Validate(v1alpha1.InDirectory) != nil {
			return
		}
		before, ok := documents[0].Object.(*v1alpha1.License)
		if !ok || before.Spec.Revoked || before.Annotations[v1alpha1.RevokedAtAnnotation] != "" {
			return
		}
		after := before.DeepCopy()
		Revoke(after, now)
		if err := Rotate(after, v1alpha1.Hash("new"), time.Hour, now); err != nil {
			return
		}
		document := text[documents[0].Start:documents[0].End]
		edited, err := edit(bytes.Clone(document), before, after)
		if err != nil {
			return
		}
		if got := v1alpha1.Documents("", edited); len(got) != 1 || !equality.Semantic.DeepEqual(got[0].Object, v1alpha1.Object(after)) {
			t.Fatalf("%q became %q", document, edited)
		}
		back, err := edit(edited, after, before)
		if err != nil {
			return
		}
		if got := v1alpha1.Documents("", back); len(got) != 1 || !equality.Semantic.DeepEqual(got[0].Object, v1alpha1.Object(before)) {
			t.Errorf("%q became %q, and back %q", document, edited, back)
		}
	})
}
