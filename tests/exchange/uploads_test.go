// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

const uploads = "/v2/source/blobs/uploads/"

// chunk sends a part with its Content-Range and returns where the upload goes on.
func chunk(r recorder, method, location string, content []byte, from, to int) harness.Answer {
	r.t.Helper()
	return harness.Call(r.t, harness.Request{
		Method: method, URL: location, Body: bytes.NewReader(content[from:to]),
		Header: http.Header{
			"Content-Type":  {"application/octet-stream"},
			"Content-Range": {fmt.Sprintf("%d-%d", from, to-1)},
		},
	})
}

// TestFormsOfUpload: every form that OCI distribution-spec 1.1 knows ends with the same blob on the upstream.
func TestFormsOfUpload(t *testing.T) {
	t.Parallel()
	upstream, server := start(t, nil)
	forms := map[string]func(r recorder, blob harness.Blob){
		"POST alone": func(r recorder, blob harness.Blob) {
			// A registry may answer 202 and want the content by PUT (distribution-spec 1.1, "Single POST").
			address := harness.WithDigest(r.t, r.base+uploads, blob.Digest)
			answer := r.send(http.MethodPost, address, blob.Content, nil)
			if answer.Status == http.StatusAccepted {
				put := harness.WithDigest(r.t, r.follow(answer, address), blob.Digest)
				answer = r.send(http.MethodPut, put, blob.Content, nil)
			}
			answer.Want(r.t, http.StatusCreated)
		},
		"POST and PUT": func(r recorder, blob harness.Blob) {
			location := r.follow(r.send(http.MethodPost, uploads, nil, nil).Want(r.t, http.StatusAccepted), uploads)
			r.send(http.MethodPut, harness.WithDigest(r.t, location, blob.Digest), blob.Content, nil).Want(r.t, http.StatusCreated)
		},
		"POST without the slash": func(r recorder, blob harness.Blob) {
			begin := "/v2/source/blobs/uploads"
			location := r.follow(r.send(http.MethodPost, begin, nil, nil).Want(r.t, http.StatusAccepted), begin)
			r.send(http.MethodPut, harness.WithDigest(r.t, location, blob.Digest), blob.Content, nil).Want(r.t, http.StatusCreated)
		},
		"chunks": func(r recorder, blob harness.Blob) {
			location := r.follow(r.send(http.MethodPost, uploads, nil, nil).Want(r.t, http.StatusAccepted), uploads)
			third := len(blob.Content) / 3
			for i := range 2 {
				answer := chunk(r, http.MethodPatch, location, blob.Content, i*third, (i+1)*third).Want(r.t, http.StatusAccepted)
				if got, want := answer.Header.Get("Range"), fmt.Sprintf("0-%d", (i+1)*third-1); got != want {
					r.t.Errorf("Range %q, want %q", got, want)
				}
				location = r.follow(answer, location)
			}
			status := r.send(http.MethodGet, location, nil, nil).Want(r.t, http.StatusNoContent)
			if got, want := status.Header.Get("Range"), fmt.Sprintf("0-%d", 2*third-1); got != want {
				r.t.Errorf("the status has Range %q, want %q", got, want)
			}
			last := harness.WithDigest(r.t, r.follow(status, location), blob.Digest)
			chunk(r, http.MethodPut, last, blob.Content, 2*third, len(blob.Content)).Want(r.t, http.StatusCreated)
		},
		"stream": upload,
	}
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := recorder{t: t, base: server.URL(""), want: upstream.Host + "/" + harness.Repository}
			blob := harness.NewBlob(120 << 10)
			form(r, blob)
			upstream.AssertBlob(t, blob)
		})
	}
}

// TestRefusedUploads: a chunk out of order is refused with 416, and a digest that does not fit with 400, as
// OCI JSON.
func TestRefusedUploads(t *testing.T) {
	t.Parallel()
	upstream, server := start(t, nil)
	r := recorder{t: t, base: server.URL(""), want: upstream.Host + "/" + harness.Repository}
	blob := harness.NewBlob(30 << 10)

	location := server.StartUpload(t)
	chunk(r, http.MethodPatch, location, blob.Content, 10<<10, 20<<10).Want(t, http.StatusRequestedRangeNotSatisfiable).Code(t)

	location = server.StartUpload(t)
	other := harness.NewBlob(10)
	r.send(http.MethodPut, harness.WithDigest(t, location, other.Digest), blob.Content, nil).
		WantError(t, http.StatusBadRequest, "DIGEST_INVALID")
}

// TestCancel: cancelling one's own upload is served without allow_delete; afterwards it is unknown.
func TestCancel(t *testing.T) {
	t.Parallel()
	_, server := start(t, nil)
	location := server.StartUpload(t)
	harness.Call(t, harness.Request{Method: http.MethodDelete, URL: location}).Want(t, http.StatusNoContent)
	harness.Call(t, harness.Request{Method: http.MethodGet, URL: location}).WantError(t, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN")
}

// TestMount: from source itself a blob is mounted; from a name that stands for nothing here the mount becomes
// a plain upload, and the upstream is never asked about that name (quirks A3, U7).
func TestMount(t *testing.T) {
	t.Parallel()
	upstream, server := start(t, map[string]any{"allow_sub_repositories": true})
	blob := harness.NewBlob(1 << 10)
	server.Push(t, blob)
	post := func(from string) harness.Answer {
		t.Helper()
		return harness.Call(t, harness.Request{
			Method: http.MethodPost, URL: server.URL("/v2/source/sub/blobs/uploads/?mount=" + blob.Digest + from),
		})
	}
	post("&from=source").Want(t, http.StatusCreated)
	harness.Call(t, harness.Request{Method: http.MethodHead, URL: server.URL("/v2/source/sub/blobs/" + blob.Digest)}).Want(t, http.StatusOK)
	post("&from=somebody-elses").Want(t, http.StatusAccepted)
	upstream.Process.Stop(t)
	if got := upstream.Process.Stderr.String() + upstream.Process.Stdout.String(); bytes.Contains([]byte(got), []byte("somebody-elses")) {
		t.Error("the upstream was asked for a name that the side does not map")
	}
}
