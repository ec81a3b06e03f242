// SPDX-License-Identifier: Apache-2.0

package route_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/errcode"
	"github.com/local-source-proxy/local-source-proxy/src/internal/route"
)

const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func TestParse(t *testing.T) {
	for _, test := range []struct {
		method, path string
		want         route.Route
	}{
		{"GET", "/v2", route.Route{Kind: route.Ping}},
		{"GET", "/v2/", route.Route{Kind: route.Ping}},
		{"HEAD", "/v2/", route.Route{Kind: route.Ping}},
		{"GET", "/v2/source/manifests/ns-app", route.Route{Kind: route.Manifest, Name: "source", Reference: "ns-app"}},
		{"PUT", "/v2/source/manifests/" + digest, route.Route{Kind: route.Manifest, Name: "source", Reference: digest}},
		{"DELETE", "/v2/source/manifests/" + digest, route.Route{Kind: route.Manifest, Name: "source", Reference: digest}},
		{"HEAD", "/v2/source/blobs/" + digest, route.Route{Kind: route.Blob, Name: "source", Reference: digest}},
		{"GET", "/v2/source/blobs/" + strings.Replace(digest, ":", "%3A", 1), route.Route{Kind: route.Blob, Name: "source", Reference: digest}},
		{"POST", "/v2/source/blobs/uploads/", route.Route{Kind: route.UploadStart, Name: "source"}},
		{"POST", "/v2/source/blobs/uploads", route.Route{Kind: route.UploadStart, Name: "source"}},
		{"PATCH", "/v2/source/blobs/uploads/dG9rZW4", route.Route{Kind: route.Upload, Name: "source", Reference: "dG9rZW4"}},
		{"GET", "/v2/source/tags/list", route.Route{Kind: route.Tags, Name: "source"}},
		{"GET", "/v2/source/referrers/" + digest, route.Route{Kind: route.Referrers, Name: "source", Reference: digest}},
		// Names are read from the right: any segment may look like a part of the API.
		{"GET", "/v2/a/b/c/d/tags/list", route.Route{Kind: route.Tags, Name: "a/b/c/d"}},
		{"GET", "/v2/source/tags/list/manifests/latest", route.Route{Kind: route.Manifest, Name: "source/tags/list", Reference: "latest"}},
		{"GET", "/v2/source/blobs/uploads/manifests/latest", route.Route{Kind: route.Manifest, Name: "source/blobs/uploads", Reference: "latest"}},
		{"POST", "/v2/a/blobs/uploads/blobs/uploads/", route.Route{Kind: route.UploadStart, Name: "a/blobs/uploads"}},
	} {
		got, err := route.Parse(test.method, test.path)
		test.want.Method = test.method
		if err != nil || got != test.want {
			t.Errorf("Parse(%s %s) = %+v, %v; want %+v", test.method, test.path, got, err, test.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, test := range []struct {
		method, path string
		want         errcode.Code
	}{
		{"GET", "/", errcode.PathUnknown},
		{"GET", "", errcode.PathUnknown},
		{"GET", "/v1/", errcode.PathUnknown},
		{"GET", "/v2x/source/tags/list", errcode.PathUnknown},
		{"GET", "/v2//", errcode.PathUnknown},
		{"GET", "//v2/", errcode.PathUnknown},
		{"GET", "/v2/_catalog", errcode.PathUnknown},
		{"GET", "/v2/source", errcode.PathUnknown},
		{"GET", "/v2/tags/list", errcode.PathUnknown},
		{"GET", "/v2/source/tags", errcode.PathUnknown},
		{"GET", "/v2/source/tags/list/", errcode.PathUnknown},
		{"GET", "/v2/source/manifests/", errcode.PathUnknown},
		{"GET", "/v2/source//manifests/latest", errcode.PathUnknown},
		{"GET", "/v2/source/../secret/manifests/latest", errcode.PathUnknown},
		{"GET", "/v2/./source/manifests/latest", errcode.PathUnknown},
		{"GET", "/v2/source%2Fsub/manifests/latest", errcode.PathUnknown},
		{"GET", "/v2/source%2fsub/manifests/latest", errcode.PathUnknown},
		{"GET", "/v2/source/%2e%2e/manifests/latest", errcode.PathUnknown},
		{"GET", "/v2/source/manifests/late%73t", errcode.PathUnknown},
		{"GET", "/v2/Source/manifests/latest", errcode.NameInvalid},
		{"GET", "/v2/source-/manifests/latest", errcode.NameInvalid},
		{"GET", "/v2/a___b/manifests/latest", errcode.NameInvalid},
		{"GET", "/v2/" + strings.Repeat("a", 256) + "/manifests/latest", errcode.NameInvalid},
		{"GET", "/v2/source/manifests/-latest", errcode.ManifestInvalid},
		{"GET", "/v2/source/manifests/" + strings.Repeat("a", 129), errcode.ManifestInvalid},
		{"GET", "/v2/source/manifests/sha256:abc", errcode.DigestInvalid},
		{"GET", "/v2/source/blobs/latest", errcode.DigestInvalid},
		{"GET", "/v2/source/blobs/" + strings.ToUpper(digest), errcode.DigestInvalid},
		{"GET", "/v2/source/blobs/sha512:" + digest[7:], errcode.DigestInvalid},
		{"GET", "/v2/source/referrers/latest", errcode.DigestInvalid},
		{"GET", "/v2/source/blobs/uploads/", errcode.Unsupported},
		{"POST", "/v2/source/blobs/uploads/dG9rZW4", errcode.Unsupported},
		{"PUT", "/v2/source/blobs/" + digest, errcode.Unsupported},
		{"PATCH", "/v2/source/manifests/latest", errcode.Unsupported},
		{"POST", "/v2/", errcode.Unsupported},
		{"get", "/v2/", errcode.Unsupported},
	} {
		_, err := route.Parse(test.method, test.path)
		e := errcode.From(err)
		if err == nil || e.Code != test.want {
			t.Errorf("Parse(%s %s) = %v; want %s", test.method, test.path, err, test.want)
			continue
		}
		if e.Code == errcode.Unsupported && e.Header.Get("Allow") == "" {
			t.Errorf("Parse(%s %s): 405 without Allow (RFC 9110, section 15.5.6)", test.method, test.path)
		}
	}
}

func TestOperationsAreAClosedSet(t *testing.T) {
	paths := map[string]string{
		"/v2/":                       "GET HEAD",
		"/v2/source/manifests/tag":   "GET HEAD PUT DELETE",
		"/v2/source/blobs/" + digest: "GET HEAD DELETE",
		"/v2/source/blobs/uploads/":  "POST",
		"/v2/source/blobs/uploads/x": "GET PATCH PUT DELETE",
		"/v2/source/tags/list":       "GET",
	}
	seen := map[string]bool{}
	for path, methods := range paths {
		for method := range strings.FieldsSeq(methods) {
			r, err := route.Parse(method, path)
			if err != nil {
				t.Fatal(err)
			}
			seen[r.Operation()] = true
			if writes := method != http.MethodGet && method != http.MethodHead || strings.Contains(path, "/uploads/"); r.Writes() != writes {
				t.Errorf("%s %s: Writes() = %v", method, path, r.Writes())
			}
		}
	}
	if len(seen) != 14 || seen["upload-"] {
		t.Errorf("operations: %v", seen)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("GET", "/v2/source/manifests/latest")
	f.Add("PATCH", "/v2/source/blobs/uploads/dG9rZW4")
	f.Add("GET", "/v2/a/b/referrers/"+digest)
	f.Add("GET", "/v2/a%2Fb/tags/list")
	f.Fuzz(func(t *testing.T, method, path string) {
		r, err := route.Parse(method, path)
		if err != nil {
			if errcode.From(err).Code == errcode.Unknown {
				t.Fatalf("%q: not an errcode.Error: %v", path, err)
			}
			return
		}
		if r.Kind != route.Ping && !route.IsName(r.Name) {
			t.Errorf("%q: name %q was let through", path, r.Name)
		}
		if strings.ContainsAny(r.Name+r.Reference, "%\\?#") || strings.Contains(r.Name+"/"+r.Reference, "..") && r.Kind != route.Manifest {
			t.Errorf("%q: %+v is not clean", path, r)
		}
	})
}
