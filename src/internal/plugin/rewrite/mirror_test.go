// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"strings"
	"testing"

	"github.com/distribution/reference"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/rewrite"
)

// TestPath: readable, the same for every spelling, and never the same for two repositories.
func TestPath(t *testing.T) {
	proxy := rewrite.Proxy{
		Domain: proxyDomain, App: "my-kots-app", Mirror: "registry.corp:5000/apps",
		Aliases: map[string]string{"localhost:5000": "local"},
	}
	hub := "docker.io/library/busybox"
	for written, want := range map[string]string{
		"quay.io/my-org/api":                        "quay.io/my-org/api",
		"busybox":                                   hub,
		"library/busybox":                           hub,
		"docker.io/busybox":                         hub,
		"index.docker.io/library/busybox":           hub,
		"registry-1.docker.io/library/busybox":      hub,
		through + "docker.io/busybox":               hub,
		through + "index.docker.io/library/busybox": hub,
		"o/r":                          "docker.io/o/r",
		"localhost:5000/a/b":           "localhost_5000/a/b",
		through + "local/a/b":          "localhost_5000/a/b",
		through + "quay.io/my-org/api": "quay.io/my-org/api",
		through + "vendor/a/b":         "vendor/a/b",
		"proxy.example.com/proxy/other-app/quay.io/a/b": "proxy.example.com/proxy/other-app/quay.io/a/b",
		"localhost-5000.example/a/b":                    "localhost-5000.example/a/b",
		"localhost/a/b":                                 "localhost/a/b",
		"10.0.0.1:5000/a":                               "10.0.0.1_5000/a",
		"[::1]:5000/a":                                  "ipv6_0000-0000-0000-0000-0000-0000-0000-0001_5000/a",
		"Registry.Example/a":                            "registry.example/a",
	} {
		image, err := rewrite.ParseImage(written)
		if err != nil {
			t.Fatal(err)
		}
		path := proxy.Path(image)
		if path != want || proxy.Name(written) != proxy.Mirror+"/"+want {
			t.Errorf("%s becomes %s and %s, want %s", written, path, proxy.Name(written), want)
		}
		if _, err := reference.WithName(proxy.Name(written)); err != nil {
			t.Errorf("%s becomes %s: %v", written, proxy.Name(written), err)
		}
	}
}

// FuzzPath: every name becomes one that container runtimes take, and two registries never the same.
func FuzzPath(f *testing.F) {
	for _, pair := range [][2]string{
		{"quay.io/a/b", "quay.io/a_b"}, {"a:5000/x", "a_5000/x"}, {"a:5000/x", "a-5000/x"}, {"busybox", "docker.io/busybox"},
		{"[::1]:5000/a", "[0:0::1]:5000/a"}, {"localhost/a", "localhost:80/a"}, {through + "quay.io/a", "quay.io/a"},
	} {
		f.Add(pair[0], pair[1])
	}
	proxy := rewrite.Proxy{Domain: proxyDomain, App: "my-kots-app", Mirror: "registry.corp/apps"}
	f.Fuzz(func(t *testing.T, one, other string) {
		a, errA := rewrite.ParseImage(one)
		b, errB := rewrite.ParseImage(other)
		if errA != nil || errB != nil {
			return
		}
		if _, err := reference.WithName(proxy.Mirror + "/" + proxy.Path(a)); err != nil {
			t.Errorf("%s becomes %s: %v", one, proxy.Path(a), err)
		}
		same := proxy.Path(a) == proxy.Path(b)
		if a.Repository == b.Repository && !same {
			t.Errorf("%s and %s are one repository, and become %s and %s", one, other, proxy.Path(a), proxy.Path(b))
		}
		// Behind the proxy one name may stand for another, and an address of IPv6 has many spellings.
		exempt := strings.HasPrefix(one+" "+other, proxyDomain) || strings.Contains(" "+other, " "+proxyDomain) || strings.Contains(one+other, "[")
		if same && !strings.EqualFold(a.Repository, b.Repository) && !exempt {
			t.Errorf("%s and %s both become %s", one, other, proxy.Path(a))
		}
	})
}
