// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func TestReferences(t *testing.T) {
	known := catalog.New(nil, []*catalog.Registry{
		{Name: "quay", Hostname: "quay.io"}, {Name: "hub", Hostname: "docker.io", Alias: "dockerhub"},
		{Name: "local", Hostname: "localhost"}, {Name: "port", Hostname: "localhost:5000", Alias: "inner"},
	})
	for _, test := range []struct{ path, name, registry, repository string }{
		{"quay.io/org/api", "", "quay", "org/api"},
		{"quay.io/api", "", "quay", "api"},
		{"quay.io/a/b/c/d", "", "quay", "a/b/c/d"},
		{"localhost:5000/team/app", "", "port", "team/app"},
		{"localhost%3A5000/team/app", "localhost:5000/team/app", "port", "team/app"},
		{"localhost/team/app", "", "local", "team/app"},
		{"inner/team/app", "", "port", "team/app"},
		{"inner", "", "hub", "library/inner"}, // as with docker, a name of one segment is an image
		{"busybox", "", "hub", "library/busybox"},
		{"library/busybox", "", "hub", "library/busybox"},
		{"grafana/grafana", "", "hub", "grafana/grafana"},
		{"docker.io/busybox", "", "hub", "library/busybox"},
		{"index.docker.io/library/busybox", "", "hub", "library/busybox"},
		{"registry-1.docker.io/busybox", "", "hub", "library/busybox"},
		{"dockerhub/busybox", "", "hub", "library/busybox"},
		{"docker.io/grafana/grafana", "", "hub", "grafana/grafana"},
		{"quay.io/manifests", "", "quay", "manifests"},
		{"quay.io/blobs/uploads", "", "quay", "blobs/uploads"},
		{"quay.io/proxy/app/quay.io", "", "quay", "proxy/app/quay.io"},
		{"a.b", "", "hub", "library/a.b"},
	} {
		for path, kind := range map[string]oci.Kind{"/manifests/v1": oci.Manifest, "/blobs/" + digest: oci.Blob, "/tags/list": oci.Tags, "/referrers/" + digest: oci.Referrers} {
			operation, ref, err := newGrammar().read(http.MethodGet, "/v2/proxy/my-app/"+test.path+path)
			want := "proxy/my-app/" + test.path
			if test.name != "" {
				want = "proxy/my-app/" + test.name
			}
			if err != nil || operation.Kind != kind || operation.Name != want || ref.app != "my-app" {
				t.Errorf("%s%s: %+v of %+v, %v", test.path, path, operation, ref, err)
				continue
			}
			if registry, repository, err := ref.find(known); err != nil || registry.Name != test.registry || repository != test.repository {
				t.Errorf("%s: %+v, %s, %v; want %s and %s", test.path, registry, repository, err, test.registry, test.repository)
			}
		}
	}
}

// TestAnAliasOfAnotherApplication leaves Docker Hub's names alone, where the application has Docker Hub.
func TestAnAliasOfAnotherApplication(t *testing.T) {
	inner := &catalog.Registry{Name: "inner", Hostname: "registry.example:5000", Alias: "inner", Apps: []string{"other"}}
	_, ref, err := newGrammar().read(http.MethodGet, "/v2/proxy/app/inner/tool/tags/list")
	if err != nil {
		t.Fatal(err)
	}
	hub := &catalog.Registry{Name: "hub", Hostname: "docker.io", Apps: []string{"app"}}
	if registry, repository, err := ref.find(catalog.New(nil, []*catalog.Registry{inner, hub})); err != nil || registry != hub || repository != "inner/tool" {
		t.Errorf("with Docker Hub: %+v, %s, %v", registry, repository, err)
	}
	for name, registries := range map[string][]*catalog.Registry{
		"without Docker Hub":         {inner},
		"Docker Hub is not open too": {inner, {Name: "hub", Hostname: "docker.io", Apps: []string{"other"}}},
	} {
		if registry, _, err := ref.find(catalog.New(nil, registries)); !errors.Is(err, catalog.ErrNotOpen) {
			t.Errorf("%s: %+v, %v", name, registry, err)
		}
	}
	ref.app = "other"
	if registry, repository, err := ref.find(catalog.New(nil, []*catalog.Registry{inner, hub})); err != nil || registry != inner || repository != "tool" {
		t.Errorf("its own: %+v, %s, %v", registry, repository, err)
	}
}

func TestReferencesThatAreRefused(t *testing.T) {
	long := strings.Repeat("a", 256)
	for path, want := range map[string]oci.Code{
		"/v2/proxy/":                                                   oci.NameInvalid,
		"/v2/proxy/app":                                                oci.PathUnknown,
		"/v2/proxy/app/":                                               oci.PathUnknown,
		"/v2/proxy/app/quay.io":                                        oci.PathUnknown,
		"/v2/proxy/app/quay.io/":                                       oci.PathUnknown,
		"/v2/proxy/app/quay.io/manifests/":                             oci.PathUnknown,
		"/v2/proxy/app/manifests/v1":                                   oci.PathUnknown,
		"/v2/proxy/App/quay.io/x/manifests/v1":                         oci.NameInvalid,
		"/v2/proxy/-app/quay.io/x/manifests/v1":                        oci.NameInvalid,
		"/v2/proxy/app_/quay.io/x/manifests/v1":                        oci.NameInvalid,
		"/v2/proxy/%61pp/quay.io/x/manifests/v1":                       oci.NameInvalid,
		"/v2/proxy/../quay.io/x/manifests/v1":                          oci.NameInvalid,
		"/v2/proxy//quay.io/x/manifests/v1":                            oci.NameInvalid,
		"/v2/proxy/" + long[:64] + "/quay.io/x/manifests/v1":           oci.NameInvalid,
		"/v2//proxy/app/quay.io/x/manifests/v1":                        oci.PathUnknown,
		"/v2/./proxy/app/quay.io/x/manifests/v1":                       oci.PathUnknown,
		"/v2/proxy/app//x/manifests/v1":                                oci.PathUnknown,
		"/v2/proxy/app/../x/manifests/v1":                              oci.NameInvalid,
		"/v2/proxy/app/./x/manifests/v1":                               oci.NameInvalid,
		"/v2/proxy/app/.../x/manifests/v1":                             oci.NameInvalid,
		"/v2/proxy/app/quay..io/x/manifests/v1":                        oci.NameInvalid,
		"/v2/proxy/app/quay.io./x/manifests/v1":                        oci.NameInvalid,
		"/v2/proxy/app/Quay.io/x/manifests/v1":                         oci.NameInvalid,
		"/v2/proxy/app/user@quay.io/x/manifests/v1":                    oci.NameInvalid,
		"/v2/proxy/app/quay.io:/x/manifests/v1":                        oci.NameInvalid,
		"/v2/proxy/app/quay.io:x/x/manifests/v1":                       oci.NameInvalid,
		"/v2/proxy/app/quay.io:123456/x/manifests/v1":                  oci.NameInvalid,
		"/v2/proxy/app/:5000/x/manifests/v1":                           oci.NameInvalid,
		"/v2/proxy/app/quay.io%3A5000%2Fx/y/manifests/v1":              oci.NameInvalid,
		"/v2/proxy/app/quay.io%2Fx/manifests/v1":                       oci.PathUnknown,
		"/v2/proxy/app/quay%2Eio/x/manifests/v1":                       oci.PathUnknown,
		"/v2/proxy/app/" + long + long + ".io/x/manifests/v1":          oci.NameInvalid,
		"/v2/proxy/app/quay.io/%2e%2e/x/manifests/v1":                  oci.PathUnknown,
		"/v2/proxy/app/quay.io/../x/manifests/v1":                      oci.PathUnknown,
		"/v2/proxy/app/quay.io/x//manifests/v1":                        oci.PathUnknown,
		"/v2/proxy/app/quay.io/x%2Fy/manifests/v1":                     oci.PathUnknown,
		"/v2/proxy/app/quay.io/X/manifests/v1":                         oci.NameInvalid,
		"/v2/proxy/app/quay.io/x:y/z/manifests/v1":                     oci.NameInvalid,
		"/v2/proxy/app/quay.io/" + long + "/manifests/v1":              oci.NameInvalid,
		"/v2/proxy/app/" + long + "/manifests/v1":                      oci.NameInvalid,
		"/v2/proxy/app/quay.io/x/manifests/" + long[:129]:              oci.ManifestUnknown,
		"/v2/proxy/app/quay.io/x/blobs/latest":                         oci.BlobUnknown,
		"/v2/proxy/app/quay.io/x/blobs/" + strings.ToUpper(digest[7:]): oci.BlobUnknown,
		"/v2/_catalog": oci.PathUnknown,
		"/health":      oci.PathUnknown,
		"/":            oci.PathUnknown,
	} {
		operation, ref, err := newGrammar().read(http.MethodGet, path)
		if err == nil || oci.ErrorFrom(err).Code != want {
			t.Errorf("%s: %+v of %+v, %v; want %s", path, operation, ref, err, want)
		}
	}
}

// TestItOnlyReads: whatever writes is a 405 that says what is possible.
func TestItOnlyReads(t *testing.T) {
	const name = "/v2/proxy/app/quay.io/x"
	for path, possible := range map[string]string{
		name + "/manifests/v1": "GET, HEAD", name + "/blobs/" + digest: "GET, HEAD", name + "/tags/list": "GET, HEAD", name + "/referrers/" + digest: "GET, HEAD",
		"/v2/": "GET, HEAD", name + "/blobs/uploads/": "", name + "/blobs/uploads/x": "",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "get", "PROPFIND", ""} {
			_, _, err := newGrammar().read(method, path)
			if slices.Contains(strings.Split(possible, ", "), method) && method != "" {
				if err != nil {
					t.Errorf("%s %s: %v", method, path, err)
				}
				continue
			}
			if e := oci.ErrorFrom(err); e.Code != oci.Unsupported || !slices.Equal(e.Header.Values("Allow"), []string{possible}) {
				t.Errorf("%s %s: %v, %v", method, path, err, e.Header)
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	known := catalog.New(nil, []*catalog.Registry{{Name: "hub", Hostname: "docker.io", Alias: "alias"}, {Name: "quay", Hostname: "quay.io"}, {Name: "port", Hostname: "localhost:5000"}})
	for _, seed := range []string{
		"/v2/", "/v2/token", "/v2/proxy/app/quay.io/x/manifests/v1", "/v2/proxy/app/localhost%3A5000/x/blobs/" + digest, "/v2/proxy/app/alias/x/tags/list",
		"/v2/proxy/app/x/referrers/" + digest, "/v2/proxy/app/a.b/manifests/v1", "/v2/proxy/app/quay.io/../x/manifests/v1", "/v2/proxy/app/quay.io/x%2f/manifests/v1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		operation, ref, err := newGrammar().read(http.MethodGet, path)
		if err != nil {
			if oci.ErrorFrom(err).Code == oci.Unknown {
				t.Fatalf("%q: not an errcode.Error: %v", path, err)
			}
			return
		}
		if strings.ContainsAny(operation.Name+operation.Reference, "%\\?#\"' ") || strings.Contains("/"+operation.Name+"/", "/../") || strings.Contains(operation.Name, "//") {
			t.Errorf("%q: %+v is not clean", path, operation)
		}
		if ref.app == "" {
			return
		}
		// The name in front of the client reads as the same reference again: what was checked is what is
		// used.
		again, same, err := newGrammar().read(http.MethodGet, "/v2/"+operation.Name+"/tags/list")
		if err != nil || same != ref || again.Name != operation.Name {
			t.Errorf("%q: %+v is read again as %+v, %v", path, ref, same, err)
		}
		if _, repository, err := ref.find(known); err == nil && len(repository) <= 255 && !oci.IsName(repository) {
			t.Errorf("%q: the repository %q was let through", path, repository)
		}
	})
}
