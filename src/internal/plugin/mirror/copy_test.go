// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
)

// apis are registries with and without the referrers API, on either end.
func apis() map[string][2][]registry.Option {
	with := []registry.Option{registry.WithReferrersSupport(true)}
	return map[string][2][]registry.Option{
		"with the API": {with, with}, "without it": {}, "from without": {nil, with}, "to without": {with, nil},
	}
}

// TestCopy: everything arrives, and a second run moves nothing.
func TestCopy(t *testing.T) {
	for what, options := range apis() {
		t.Run(what, func(t *testing.T) {
			v := newVendor(t, options[0]...)
			at := newDouble(t, options[1]...)
			results := mustCopy(t, v.source(), target(t, at), v.images())
			v.arrived(at)
			if results[0].Attached != len(v.attached) || results[0].Digest != v.index.String() || !results[0].Copied || results[0].Bytes == 0 {
				t.Errorf("%+v", results[0])
			}
			v.forget()
			at.forget()
			for _, result := range mustCopy(t, v.source(), target(t, at), v.images()) {
				if result.Copied || result.Bytes != 0 || len(result.Notes) > 0 {
					t.Errorf("the second run: %+v", result)
				}
			}
			if v.count("GET", "/blobs/") > 0 || at.count("POST", "") > 0 || at.count("PUT", "") > 0 || at.count("PATCH", "") > 0 {
				t.Errorf("the second run moves something: %v %v", v.seen, at.seen)
			}
		})
	}
}

// TestOverAnAirGap: by a tar, from which a registry gets the same.
func TestOverAnAirGap(t *testing.T) {
	for what, options := range apis() {
		t.Run(what, func(t *testing.T) {
			v := newVendor(t, options[0]...)
			at := newDouble(t, options[1]...)
			path := pack(t, v, v.images())
			archive := open(t, path)
			want := v.images()
			for i := range want {
				want[i].Name, want[i].From = want[i].Path+":"+want[i].Tag, name.Repository{}
			}
			want[1].Name = want[1].Path + "@" + want[1].Digest
			if diff := cmp.Diff(want, archive.Images(), cmp.AllowUnexported(name.Repository{}, name.Registry{})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			mustCopy(t, archive, target(t, at), archive.Images())
			v.arrived(at)
		})
	}
}

// pack writes a tar.
func pack(t *testing.T, v *vendor, images []Image) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "images.tar")
	to, err := CreateTar(path)
	if err != nil {
		t.Fatal(err)
	}
	mustCopy(t, v.source(), to, images)
	if err := to.Commit(); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t *testing.T, path string) *Archive {
	t.Helper()
	archive, err := OpenTar(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = archive.Close() })
	return archive
}

// TestOneFailureStopsNoOther, unless it is one that all have.
func TestOneFailureStopsNoOther(t *testing.T) {
	v := newVendor(t)
	images := append([]Image{{Name: "gone", From: v.repository("team/gone"), Path: "x/gone", Tag: "v1"}}, v.images()...)
	copier := &Copier{Source: v.source(), Target: target(t, newDouble(t)), Concurrency: 1}
	results, err := copier.Copy(t.Context(), images)
	if err != nil || results[0].Err == nil || results[0].Err.Error() != "there is no such image" || results[1].Err != nil || results[2].Err != nil {
		t.Errorf("%v %+v", err, results)
	}
	copier.Fatal = func(context.Context, error) bool { return true }
	results, err = copier.Copy(t.Context(), images)
	if err == nil || results[2].Digest != "" {
		t.Errorf("%v %+v", err, results)
	}
}
