// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// listed is the body of an error.
type listed struct {
	Errors []struct {
		Code    string
		Message string
		Detail  any
	}
}

func errorsOf(t *testing.T, answer harness.Answer) listed {
	t.Helper()
	var body listed
	if err := json.Unmarshal(answer.Body, &body); err != nil {
		t.Fatalf("%d %s: %v", answer.Status, answer.Body, err)
	}
	return body
}

// TestTheRegistrysOwnErrors reach developers whole: each of a list, with its code and its detail (quirk D11).
func TestTheRegistrysOwnErrors(t *testing.T) {
	t.Parallel()
	_, server := start(t, nil)
	const kind = "application/vnd.oci.image.manifest.v1+json"
	put := func(t *testing.T, manifest string) harness.Answer {
		t.Helper()
		return harness.Call(t, harness.Request{
			Method: http.MethodPut, URL: server.URL("/v2/source/manifests/v1"),
			Body: strings.NewReader(manifest), Header: http.Header{"Content-Type": {kind}},
		})
	}
	descriptor := func(digit, more string) string {
		const layer = "application/vnd.oci.image.layer.nondistributable.v1.tar"
		return fmt.Sprintf(`{"mediaType":%q,"size":1,"digest":"sha256:%s"%s}`, layer, strings.Repeat(digit, 64), more)
	}
	image := func(config, layer string) string {
		return `{"schemaVersion":2,"mediaType":"` + kind + `","config":` + config + `,"layers":[` + layer + `]}`
	}
	t.Run("two blobs are missing", func(t *testing.T) {
		t.Parallel()
		answer := put(t, image(descriptor("1", ""), strings.ReplaceAll(descriptor("2", ""), "nondistributable.", "")))
		body := errorsOf(t, answer)
		told := fmt.Sprint(body)
		both := strings.Contains(told, strings.Repeat("1", 64)) && strings.Contains(told, strings.Repeat("2", 64))
		if len(body.Errors) != 2 || !both ||
			body.Errors[0].Code != "MANIFEST_BLOB_UNKNOWN" || body.Errors[1].Code != "MANIFEST_BLOB_UNKNOWN" {
			t.Errorf("%d %s", answer.Status, answer.Body)
		}
	})
	t.Run("a layer is elsewhere", func(t *testing.T) {
		t.Parallel()
		answer := put(t, image(descriptor("1", ""), descriptor("2", `,"urls":["ftp://elsewhere/x"]`)))
		if !strings.Contains(string(answer.Body), "invalid URL on layer") {
			t.Errorf("%d %s", answer.Status, answer.Body)
		}
	})
	t.Run("a page has no such size", func(t *testing.T) {
		t.Parallel()
		answer := harness.Call(t, harness.Request{Method: http.MethodGet, URL: server.URL("/v2/source/tags/list?n=-1")})
		body := errorsOf(t, answer)
		if answer.Status != http.StatusBadRequest || len(body.Errors) != 1 || body.Errors[0].Code != "PAGINATION_NUMBER_INVALID" {
			t.Errorf("%d %s", answer.Status, answer.Body)
		}
	})
}

// TestImpossibleReferences: what cannot exist is not found, like what does not.
func TestImpossibleReferences(t *testing.T) {
	t.Parallel()
	_, server := start(t, map[string]any{"allow_pull": true, "allow_delete": true})
	for _, reference := range []string{"manifests/.INVALID", "manifests/sha256:abc", "blobs/latest", "blobs/sha256:abc"} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodDelete} {
			harness.Call(t, harness.Request{Method: method, URL: server.URL("/v2/source/" + reference)}).Want(t, http.StatusNotFound)
		}
	}
}
