// SPDX-License-Identifier: Apache-2.0

package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/filewatch"
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
	c := newCluster(&kube.Client{}, nil)
	all := map[string]*object{}
	for i := range many {
		l := numbered(i)
		all[l.Name] = newObject("", l, nil)
	}
	c.replace(v1alpha1.LicenseKind, all)
	now := resolve(c.current().objects, nil, nil, time.Now())
	edited := numbered(many / 2)
	b.ReportAllocs()
	for b.Loop() {
		edited.Spec.Revoked = !edited.Spec.Revoked
		edited.Generation++
		if !c.set(newObject("", edited, edited.Validate(v1alpha1.InCluster))) {
			b.Fatal("no change")
		}
		now = resolve(c.current().objects, now.standings, nil, time.Now())
	}
}

// BenchmarkOneEditInAFileOfMany is the same in a directory, in a file of 2,500 licenses beside three others.
func BenchmarkOneEditInAFileOfMany(b *testing.B) {
	const perFile = 2_500
	d := newDirectory("dir")
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
	var now decision
	take := func(files map[string]filewatch.File) {
		d.take(files)
		read := d.current()
		now = resolve(read.objects, now.standings, nil, time.Now())
		if n := count(read, now.standings)[v1alpha1.LicenseKind]; n.valid != many {
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
