// SPDX-License-Identifier: Apache-2.0

package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/filewatch"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

const many = 10_000

func numbered(i int) *v1alpha1.License {
	return &v1alpha1.License{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("license-%d", i), CreationTimestamp: metav1.Unix(int64(i), 0)},
		Spec: v1alpha1.LicenseSpec{
			AppSlug: "my-app", CustomerName: fmt.Sprintf("Customer %d", i), CustomerEmail: "ops@example.com", ExpiresAt: "2027-01-01T00:00:00Z",
			Credentials: []v1alpha1.Credential{{Name: "license-id", SHA256: v1alpha1.Hash(fmt.Sprint(i))}},
		},
	}
}

// BenchmarkOneEditOfMany puts one changed license among 10,000 custom resources in force.
func BenchmarkOneEditOfMany(b *testing.B) {
	s := newSet(upstream.Config{})
	for i := range many {
		s.update(convert(numbered(i)))
	}
	s.settle()
	edited := numbered(many / 2)
	b.ReportAllocs()
	for b.Loop() {
		edited.Spec.Revoked = !edited.Spec.Revoked
		if !s.update(convert(edited)) {
			b.Fatal("no change")
		}
		s.settle()
	}
}

// BenchmarkOneEditInAFileOfMany is the same in a directory, in a file of 2,500 licenses beside three others.
func BenchmarkOneEditInAFileOfMany(b *testing.B) {
	const perFile = 2_500
	s, d := newSet(upstream.Config{}), newDirectory("dir")
	write := func(i int, revoked bool) filewatch.File {
		var text strings.Builder
		for n := range perFile {
			l := numbered(i*perFile + n)
			l.Spec.Revoked = revoked && n == 0
			one, err := v1alpha1.Marshal(l)
			if err != nil {
				b.Fatal(err)
			}
			text.WriteString("---\n")
			text.Write(one)
		}
		return filewatch.File{Data: []byte(text.String()), Modified: time.Unix(1, 0)}
	}
	files := map[string]filewatch.File{}
	for i := range many / perFile {
		files[fmt.Sprintf("dir/%d.yml", i)] = write(i, false)
	}
	take := func(files map[string]filewatch.File) {
		reports, _ := d.read(files)
		s.update(reports...)
		if n := s.settle().numbers[v1alpha1.LicenseKind]; n.valid != many {
			b.Fatalf("%+v", n)
		}
	}
	take(files)
	edits := []filewatch.File{write(0, true), write(0, false)}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		take(map[string]filewatch.File{"dir/0.yml": edits[i%2]})
	}
}
