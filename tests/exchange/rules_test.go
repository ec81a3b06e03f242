// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

const someDigest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

// TestNames: source is the only name, and nothing is appended to the repository.
func TestNames(t *testing.T) {
	t.Parallel()
	upstream, server := start(t, nil)
	_, open := start(t, map[string]any{"allow_sub_repositories": true})
	for _, name := range []string{"other", "source/sub", "sources", "team-a/project/source-code", "library/source"} {
		for _, path := range []string{"/manifests/tag", "/tags/list", "/blobs/" + someDigest} {
			answer := harness.Call(t, harness.Request{Method: http.MethodGet, URL: server.URL("/v2/" + name + path)})
			answer.WantError(t, http.StatusNotFound, "NAME_UNKNOWN")
			if got, want := answer.Header.Get(pathHeader), upstream.Host+"/"+harness.Repository; got != want {
				t.Errorf("%s%s: %s is %q, want %q", name, path, pathHeader, got, want)
			}
		}
	}
	harness.Call(t, harness.Request{Method: http.MethodPost, URL: open.URL("/v2/source/sub/blobs/uploads/")}).Want(t, http.StatusAccepted)
	harness.Call(t, harness.Request{Method: http.MethodPost, URL: open.URL("/v2/other/blobs/uploads/")}).
		WantError(t, http.StatusNotFound, "NAME_UNKNOWN")
}

// TestStrictPaths: unclean and unknown paths get 404 or 405 as OCI JSON, never a redirect, and reach no
// upstream.
func TestStrictPaths(t *testing.T) {
	t.Parallel()
	double := harness.NewDouble(t, nil)
	server := harness.Start(t, harness.Options{Upstream: double.Registry()})
	tests := []struct {
		method, target string
		status         []int
	}{
		{"GET", "/v2/source//manifests/tag", []int{404}},
		{"GET", "/v2//source/manifests/tag", []int{404}},
		{"GET", "/v2/./source/manifests/tag", []int{404}},
		{"GET", "/v2/source/../source/manifests/tag", []int{404}},
		{"GET", "/v2/source/manifests/../../../../admin", []int{404}},
		{"GET", "/v2/source%2Fmanifests/tag", []int{404}},
		{"GET", "/v2/source/manifests%2Ftag", []int{404}},
		{"GET", "/v2/source/manifests/%2e%2e", []int{404}},
		{"GET", "/v2/source/manifests/tag%00", []int{404, 400}},
		{"GET", "/v2/source/blobs/sha256:short", []int{404, 400}},
		{"GET", "/v2/source/unknown/x", []int{404}},
		{"GET", "/v2/_catalog", []int{404}},
		{"GET", "/", []int{404}},
		{"GET", "/metrics", []int{404}},
		{"GET", "/livez", []int{404}},
		{"POST", "/v2/source/manifests/tag", []int{405}},
		{"PUT", "/v2/source/tags/list", []int{405}},
		{"PATCH", "/v2/source/blobs/" + someDigest, []int{405}},
	}
	for _, tc := range tests {
		t.Run(tc.method+" "+tc.target, func(t *testing.T) {
			t.Parallel()
			answer := raw(t, server.Host, tc.method, tc.target)
			for _, status := range tc.status {
				if answer.Status == status {
					answer.Code(t)
					return
				}
			}
			t.Errorf("status %d, want one of %v: %.200s", answer.Status, tc.status, answer.Body)
		})
	}
	t.Cleanup(func() {
		if got := double.Requests(); len(got) > 0 {
			t.Errorf("the upstream was asked: %+v", got)
		}
	})
}

// raw writes the request line byte for byte, which net/http's client would clean.
func raw(t *testing.T, host, method, target string) harness.Answer {
	t.Helper()
	var dialer net.Dialer
	connection, err := dialer.DialContext(t.Context(), "tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	fmt.Fprintf(connection, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", method, target, host)
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return harness.Answer{Status: response.StatusCode, Header: response.Header, Body: body}
}

// TestAllowances: reading blobs and deleting content are refused unless the operator allows them.
func TestAllowances(t *testing.T) {
	t.Parallel()
	for _, allowed := range []bool{false, true} {
		t.Run(fmt.Sprintf("allowed %t", allowed), func(t *testing.T) {
			t.Parallel()
			upstream, server := start(t, map[string]any{"allow_pull": allowed, "allow_delete": allowed})
			config, layer := harness.BlobOf([]byte("{}")), harness.NewBlob(50<<10)
			manifest := harness.Manifest(t, config, layer)
			server.Push(t, config)
			server.Push(t, layer)
			r := recorder{t: t, base: server.URL(""), want: upstream.Host + "/" + harness.Repository}
			putManifest(r, manifest, "tag")

			r.send(http.MethodHead, "/v2/source/blobs/"+layer.Digest, nil, nil).Want(t, http.StatusOK)
			got := r.send(http.MethodGet, "/v2/source/manifests/tag", nil, http.Header{"Accept": {harness.ManifestType}}).Want(t, http.StatusOK)
			if !bytes.Equal(got.Body, manifest.Content) || got.Header.Get("Content-Type") != harness.ManifestType { // quirk D9
				t.Errorf("the manifest came back as %s: %s", got.Header.Get("Content-Type"), got.Body)
			}
			pull := r.send(http.MethodGet, "/v2/source/blobs/"+layer.Digest, nil, nil)
			part := r.send(http.MethodGet, "/v2/source/blobs/"+layer.Digest, nil, http.Header{"Range": {"bytes=100-199"}})
			remove := r.send(http.MethodDelete, "/v2/source/manifests/"+manifest.Digest, nil, nil)
			removeBlob := r.send(http.MethodDelete, "/v2/source/blobs/"+layer.Digest, nil, nil)
			if !allowed {
				pull.WantError(t, http.StatusForbidden, "DENIED")
				part.WantError(t, http.StatusForbidden, "DENIED")
				remove.WantError(t, http.StatusMethodNotAllowed, "UNSUPPORTED")
				removeBlob.WantError(t, http.StatusMethodNotAllowed, "UNSUPPORTED")
				upstream.AssertBlob(t, layer)
				return
			}
			if !bytes.Equal(pull.Want(t, http.StatusOK).Body, layer.Content) {
				t.Errorf("the blob came back with %d bytes", len(pull.Body))
			}
			if !bytes.Equal(part.Want(t, http.StatusPartialContent).Body, layer.Content[100:200]) {
				t.Errorf("a range of 100 bytes came back with %d", len(part.Body))
			}
			remove.Want(t, http.StatusAccepted)
			removeBlob.Want(t, http.StatusAccepted)
			upstream.AssertAbsent(t, "tag")
		})
	}
}
