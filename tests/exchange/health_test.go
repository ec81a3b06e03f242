// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

func upstreamDigest(t *testing.T, upstream *harness.Registry, tag string) string {
	t.Helper()
	descriptor, err := remote.Head(upstream.Reference(t, tag), upstream.Options(t)...)
	if err != nil {
		t.Fatal(err)
	}
	return descriptor.Digest.String()
}

// TestHealthNamesWhatIsWrong: the answer's own status is never one that clients read as "no permission" or
// "not installed".
func TestHealthNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	guarded := harness.Distribution{Program: harness.Tool(t, "registry"), Basic: true}.Start(t)
	tests := map[string]struct {
		options harness.Options
		status  int
		code    func(string) bool
		says    string
	}{
		"wrong password": {
			options: harness.Options{
				Upstream:     guarded,
				DockerConfig: harness.DockerConfig(t, guarded.Host, harness.Username, "another password"),
				Secrets:      []string{"another password"},
			},
			status: http.StatusOK,
			code:   func(code string) bool { return code == "401" || code == "403" },
		},
		"unreachable": {
			options: harness.Options{Values: map[string]any{"repository": "127.0.0.1:1/" + harness.Repository}},
			status:  http.StatusOK,
			code:    func(code string) bool { return len(code) == 3 && code[0] == '5' },
		},
		"no repository": {
			options: harness.Options{Values: map[string]any{"repository": ""}},
			status:  http.StatusInternalServerError,
			code:    func(code string) bool { return code == "500" },
			says:    "registry server configuration in the cluster is invalid",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := harness.Start(t, tc.options)
			got := readHealth(t, harness.Call(t, harness.Request{Method: http.MethodGet, URL: server.URL("/health")}).Want(t, tc.status))
			if !tc.code(got.StatusCode) || got.Message == "" || !strings.Contains(got.Message, tc.says) {
				t.Errorf("/health says %+v", got)
			}
			push := harness.Call(t, harness.Request{Method: http.MethodPost, URL: server.URL("/v2/source/blobs/uploads/")})
			// 401 and 429 or 503 would make clients ask for a password, or try again for minutes.
			switch push.Status {
			case http.StatusForbidden, http.StatusInternalServerError, http.StatusBadGateway:
				push.Code(t)
			default:
				t.Errorf("a push gets %d: %s", push.Status, push.Body)
			}
		})
	}
}

// TestWrongPasswordIsDenied: the client's own credential is not what is wrong (quirk K2), and the account is
// not banned by retries (quirk A10).
func TestWrongPasswordIsDenied(t *testing.T) {
	t.Parallel()
	refuse := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="registry of a test"`)
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
	}
	double := harness.NewDouble(t, map[string]http.HandlerFunc{"/": refuse})
	server := harness.Start(t, harness.Options{Upstream: double.Registry()})
	for range 5 {
		harness.Call(t, harness.Request{Method: http.MethodPost, URL: server.URL("/v2/source/blobs/uploads/")}).
			WantError(t, http.StatusForbidden, "DENIED")
	}
	if got := len(double.WithCredentials()); got == 0 || got > 2 {
		t.Errorf("the wrong password was shown %d times, want once, or twice at most", got)
	}
}
