// SPDX-License-Identifier: Apache-2.0

package sessions_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// TestForgedSessions: a token that this key did not seal for this name is unknown, whatever the method, and
// the upstream is asked nothing: otherwise a client could aim the operator's credential at any address.
func TestForgedSessions(t *testing.T) {
	t.Parallel()
	begin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", r.URL.Path+"an-upload?state=opaque")
		w.WriteHeader(http.StatusAccepted)
	}
	double := harness.NewDouble(t, map[string]http.HandlerFunc{
		"GET /v2/{$}": harness.Basic(harness.Pong),
		"POST /v2/" + harness.Repository + "/blobs/uploads/{$}":     harness.Basic(begin),
		"POST /v2/" + harness.Repository + "/sub/blobs/uploads/{$}": harness.Basic(begin),
	})
	options := func() harness.Options {
		return harness.Options{
			Upstream: double.Registry(), Values: map[string]any{"allow_sub_repositories": true},
			Flags: []string{harness.KeyFile(t, harness.NewKey())},
		}
	}
	server, stranger := harness.Start(t, options()), harness.Start(t, options())
	prefix := server.URL("/v2/source/blobs/uploads/")
	token := strings.TrimPrefix(server.StartUpload(t), prefix)
	if strings.ContainsAny(token, "/?%") {
		t.Fatalf("the token %q is not one path segment without a query", token)
	}
	sealed, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatalf("the token is not base64url: %v", err)
	}

	forged := map[string]string{
		"sealed by another key": strings.TrimPrefix(stranger.StartUpload(t), stranger.URL("/v2/source/blobs/uploads/")),
		"empty seal":            base64.RawURLEncoding.EncodeToString(make([]byte, len(sealed))),
		"half of it":            token[:len(token)/2],
		"last byte missing":     base64.RawURLEncoding.EncodeToString(sealed[:len(sealed)-1]),
		"a byte more":           base64.RawURLEncoding.EncodeToString(append(sealed[:len(sealed):len(sealed)], 0)),
		"one letter":            "x",
		"not base64url":         "no.token~at-all",
		"a plain address":       base64.RawURLEncoding.EncodeToString([]byte(`{"location":"http://127.0.0.1:1/"}`)),
		"twice":                 token + token,
	}
	for name, position := range map[string]int{"first": 0, "middle": len(sealed) / 2, "last": len(sealed) - 1} {
		changed := append([]byte(nil), sealed...)
		changed[position] ^= 1
		forged[name+" byte changed"] = base64.RawURLEncoding.EncodeToString(changed)
	}
	addresses := map[string]string{
		"another name": server.URL("/v2/source/sub/blobs/uploads/") + token,
	}
	for name, token := range forged {
		addresses[name] = prefix + token
	}
	before := len(double.Requests())
	for name, address := range addresses {
		for _, method := range []string{http.MethodGet, http.MethodPatch, http.MethodPut, http.MethodDelete} {
			t.Run(name+" "+method, func(t *testing.T) {
				request := harness.Request{Method: method, URL: address}
				if method == http.MethodPatch || method == http.MethodPut {
					request.Body = strings.NewReader("content")
				}
				if method == http.MethodPut {
					request.URL = harness.WithDigest(t, address, harness.BlobOf([]byte("content")).Digest)
				}
				harness.Call(t, request).WantError(t, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN")
			})
		}
	}
	if got := double.Requests()[before:]; len(got) > 0 {
		t.Errorf("forged sessions made the server ask the upstream: %+v", got)
	}
}
