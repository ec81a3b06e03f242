// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
)

// quirk D11: the digests that are missing, and the words of a detail, are part of the message.
func TestQuirkD11DetailsAreTold(t *testing.T) {
	one, two := "sha256:"+strings.Repeat("1", 64), "sha256:"+strings.Repeat("2", 64)
	for body, want := range map[string]string{
		`{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry","detail":{"digest":"` + one + `"}},` +
			`{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry","detail":{"Digest":"` + two + `"}}`: "MANIFEST_BLOB_UNKNOWN: blob unknown to registry: " + one + "; blob unknown to registry: " + two,
		`{"code":"MANIFEST_INVALID","message":"manifest invalid","detail":"invalid URL on layer"}`:       "MANIFEST_INVALID: manifest invalid: invalid URL on layer",
		`{"code":"MANIFEST_UNKNOWN","message":"no ` + one + `","detail":["` + one + `"]}`:                "MANIFEST_UNKNOWN: no " + one,
		`{"code":"A","message":"m","detail":null},{"code":"B","message":"n"},{"code":"A","message":"m"}`: "A: m; B: n",
		`{"code":"A","message":"","detail":{"n":-1}},{"code":"B","message":""}`:                          "A: B",
		`{"code":"DENIED","message":"quota\u001b[31m","detail":"\u0000"}`:                                "DENIED: quota [31m:",
	} {
		err := apiserver.ReadError(&http.Response{
			StatusCode: http.StatusNotFound, Header: http.Header{},
			Body: io.NopCloser(strings.NewReader(`{"errors":[` + body + `]}`)),
		})
		if got := err.Error(); got != "the local source proxy answered 404 "+want {
			t.Errorf("%s:\n%s\nwant %s", body, got, want)
		}
	}
}
