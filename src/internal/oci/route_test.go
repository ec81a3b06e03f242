// SPDX-License-Identifier: Apache-2.0

package oci_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func TestParse(t *testing.T) {
	for _, test := range []struct {
		method, path string
		want         oci.Route
	}{
		{"GET", "/v2", oci.Route{Kind: oci.Ping}},
		{"GET", "/v2/", oci.Route{Kind: oci.Ping}},
		{"HEAD", "/v2/", oci.Route{Kind: oci.Ping}},
		{"GET", "/v2/source/manifests/ns-app", oci.Route{Kind: oci.Manifest, Name: "source", Reference: "ns-app"}},
		{"PUT", "/v2/source/manifests/" + digest, oci.Route{Kind: oci.Manifest, Name: "source", Reference: digest}},
		{"DELETE", "/v2/source/manifests/" + digest, oci.Route{Kind: oci.Manifest, Name: "source", Reference: digest}},
		{"HEAD", "/v2/source/blobs/" + digest, oci.Route{Kind: oci.Blob, Name: "source", Reference: digest}},
		{"GET", "/v2/source/blobs/" + strings.Replace(digest, ":", "%3A", 1), oci.Route{Kind: oci.Blob, Name: "source", Reference: digest}},
		{"POST", "/v2/source/blobs/uploads/", oci.Route{Kind: oci.UploadStart, Name: "source"}},
		{"POST", "/v2/source/blobs/uploads", oci.Route{Kind: oci.UploadStart, Name: "source"}},
		{"PATCH", "/v2/source/blobs/uploads/dG9rZW4", oci.Route{Kind: oci.Upload, Name: "source", Reference: "dG9rZW4"}},
		{"GET", "/v2/source/tags/list", oci.Route{Kind: oci.Tags, Name: "source"}},
		{"GET", "/v2/source/referrers/" + digest, oci.Route{Kind: oci.Referrers, Name: "source", Reference: digest}},
		// Names are read from the right: any segment may look like a part of the API.
		{"GET", "/v2/a/b/c/d/tags/list", oci.Route{Kind: oci.Tags, Name: "a/b/c/d"}},
		{"GET", "/v2/source/tags/list/manifests/latest", oci.Route{Kind: oci.Manifest, Name: "source/tags/list", Reference: "latest"}},
		{"GET", "/v2/source/blobs/uploads/manifests/latest", oci.Route{Kind: oci.Manifest, Name: "source/blobs/uploads", Reference: "latest"}},
		{"POST", "/v2/a/blobs/uploads/blobs/uploads/", oci.Route{Kind: oci.UploadStart, Name: "a/blobs/uploads"}},
	} {
		got, err := oci.ParseRoute(test.method, test.path)
		test.want.Method = test.method
		if err != nil || got != test.want {
			t.Errorf("Parse(%s %s) = %+v, %v; want %+v", test.method, test.path, got, err, test.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, test := range []struct {
		method, path string
		want         oci.Code
	}{
		{"GET", "/", oci.PathUnknown},
		{"GET", "", oci.PathUnknown},
		{"GET", "/v1/", oci.PathUnknown},
		{"GET", "/v2x/source/tags/list", oci.PathUnknown},
		{"GET", "/v2//", oci.PathUnknown},
		{"GET", "//v2/", oci.PathUnknown},
		{"GET", "/v2/_catalog", oci.PathUnknown},
		{"GET", "/v2/source", oci.PathUnknown},
		{"GET", "/v2/tags/list", oci.PathUnknown},
		{"GET", "/v2/source/tags", oci.PathUnknown},
		{"GET", "/v2/source/tags/list/", oci.PathUnknown},
		{"GET", "/v2/source/manifests/", oci.PathUnknown},
		{"GET", "/v2/source//manifests/latest", oci.PathUnknown},
		{"GET", "/v2/source/../secret/manifests/latest", oci.PathUnknown},
		{"GET", "/v2/./source/manifests/latest", oci.PathUnknown},
		{"GET", "/v2/source%2Fsub/manifests/latest", oci.PathUnknown},
		{"GET", "/v2/source%2fsub/manifests/latest", oci.PathUnknown},
		{"GET", "/v2/source/%2e%2e/manifests/latest", oci.PathUnknown},
		{"GET", "/v2/source/manifests/late%73t", oci.PathUnknown},
		{"GET", "/v2/Source/manifests/latest", oci.NameInvalid},
		{"GET", "/v2/source-/manifests/latest", oci.NameInvalid},
		{"GET", "/v2/a___b/manifests/latest", oci.NameInvalid},
		{"GET", "/v2/" + strings.Repeat("a", 256) + "/manifests/latest", oci.NameInvalid},
		{"GET", "/v2/source/blobs/uploads/", oci.Unsupported},
		{"POST", "/v2/source/blobs/uploads/dG9rZW4", oci.Unsupported},
		{"PUT", "/v2/source/blobs/" + digest, oci.Unsupported},
		{"PATCH", "/v2/source/manifests/latest", oci.Unsupported},
		{"POST", "/v2/", oci.Unsupported},
		{"get", "/v2/", oci.Unsupported},
	} {
		_, err := oci.ParseRoute(test.method, test.path)
		e := oci.ErrorFrom(err)
		if err == nil || e.Code != test.want {
			t.Errorf("Parse(%s %s) = %v; want %s", test.method, test.path, err, test.want)
			continue
		}
		if e.Code == oci.Unsupported && e.Header.Get("Allow") == "" {
			t.Errorf("Parse(%s %s): 405 without Allow (RFC 9110, section 15.5.6)", test.method, test.path)
		}
	}
}

// TestImpossibleReferences: a reference that cannot exist is unknown like one that does not. Only who writes
// it is told what is wrong, and a subject's digest has to be valid (distribution-spec, "Listing Referrers").
func TestImpossibleReferences(t *testing.T) {
	impossible := map[string][]string{
		"manifests": {"-latest", ".INVALID", ".bad", strings.Repeat("a", 129), "sha256:abc", "sha256:baddigeststring", "sha512:" + digest[7:]},
		"blobs":     {"latest", strings.ToUpper(digest), "sha512:" + digest[7:], "sha256:abc"},
		"referrers": {"latest", "sha256:abc"},
	}
	for kind, references := range impossible {
		for _, reference := range references {
			for method, want := range map[string]map[string]oci.Code{
				"GET":    {"manifests": oci.ManifestUnknown, "blobs": oci.BlobUnknown, "referrers": oci.DigestInvalid},
				"HEAD":   {"manifests": oci.ManifestUnknown, "blobs": oci.BlobUnknown, "referrers": oci.Unsupported},
				"DELETE": {"manifests": oci.ManifestUnknown, "blobs": oci.BlobUnknown, "referrers": oci.Unsupported},
				"PUT":    {"manifests": oci.ManifestInvalid, "blobs": oci.Unsupported, "referrers": oci.Unsupported},
			} {
				code := want[kind]
				if method == "PUT" && kind == "manifests" && strings.Contains(reference, ":") {
					code = oci.DigestInvalid
				}
				path := "/v2/source/" + kind + "/" + reference
				if _, err := oci.ParseRoute(method, path); err == nil || oci.ErrorFrom(err).Code != code {
					t.Errorf("%s %s: %v; want %s", method, path, err, code)
				}
			}
		}
	}
	// A name that cannot exist is told first.
	if _, err := oci.ParseRoute("GET", "/v2/Source/manifests/.bad"); oci.ErrorFrom(err).Code != oci.NameInvalid {
		t.Errorf("a bad name with a bad tag: %v", err)
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
			r, err := oci.ParseRoute(method, path)
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
		r, err := oci.ParseRoute(method, path)
		if err != nil {
			if oci.ErrorFrom(err).Code == oci.Unknown {
				t.Fatalf("%q: not an errcode.Error: %v", path, err)
			}
			return
		}
		if r.Kind != oci.Ping && !oci.IsName(r.Name) {
			t.Errorf("%q: name %q was let through", path, r.Name)
		}
		if strings.ContainsAny(r.Name+r.Reference, "%\\?#") || strings.Contains(r.Name+"/"+r.Reference, "..") && r.Kind != oci.Manifest {
			t.Errorf("%q: %+v is not clean", path, r)
		}
	})
}
