// SPDX-License-Identifier: Apache-2.0

package imageproxy_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
)

// TestWhereAnImageIs: an image is found as customers' requests find it, however much of its name is written.
func TestWhereAnImageIs(t *testing.T) {
	known := catalog.New(nil, []*catalog.Registry{
		{Name: "quay", Hostname: "quay.io", Alias: "q", Apps: []string{"shop"}},
		{Name: "quay-2", Hostname: "quay.io", Apps: []string{"cart"}},
		{Name: "local", Hostname: "localhost:5000"},
		{Name: "hub", Hostname: "docker.io"},
	})
	const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for _, test := range []struct {
		image string
		want  []string
		err   error
	}{
		{"quay.io/team/api:v1", []string{"quay team/api v1", "quay-2 team/api v1"}, nil},
		{"proxy/shop/quay.io/team/api:v1", []string{"quay team/api v1"}, nil},
		{"proxy.example.com/proxy/cart/quay.io/team/api", []string{"quay-2 team/api latest"}, nil},
		{"localhost:5003/proxy/shop/q/team/api@" + digest, []string{"quay team/api " + digest}, nil},
		{"localhost:5000/api:v1", []string{"local api v1"}, nil},
		{"localhost:5000/a/b", []string{"local a/b latest"}, nil},
		{"busybox", []string{"hub library/busybox latest"}, nil},
		{"busybox:1.36", []string{"hub library/busybox 1.36"}, nil},
		{"q/api", []string{"quay api latest", "hub q/api latest"}, nil},
		{"ghcr.io/team/api", nil, catalog.ErrNoRegistry},
		{"proxy/other/quay.io/team/api", nil, catalog.ErrNotOpen},
	} {
		image, err := imageproxy.ParseImage(test.image)
		if err != nil {
			t.Errorf("%s: %v", test.image, err)
			continue
		}
		found, err := image.Find(known, []string{"shop", "cart"})
		var got []string
		for _, each := range found {
			got = append(got, fmt.Sprint(each.Registry.Name, " ", each.Repository, " ", image.Reference))
		}
		if diff := cmp.Diff(test.want, got); diff != "" || !errors.Is(err, test.err) {
			t.Errorf("%s: %v (-want +got):\n%s", test.image, err, diff)
		}
	}
	for _, wrong := range []string{"", ":", "quay.io/", "quay.io/Team/api", "https://quay.io/team/api", "quay.io/team/api:", "quay.io/a@sha256:1", "quay.io/a/../b", "proxy/shop", "a b", "quay.io/team/api?x", "quay.io/a\n", "/a", "proxy//a", "proxy/Shop/a"} {
		if image, err := imageproxy.ParseImage(wrong); err == nil {
			t.Errorf("%q is %+v", wrong, image)
		}
	}
}
