// SPDX-License-Identifier: Apache-2.0

package ambient_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain/ambient"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain/dockerconfig"
)

// metadataServer makes this machine one of Google's and counts the tokens that it hands out.
func metadataServer(t *testing.T) *atomic.Int32 {
	var tokens atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/token") {
			fmt.Fprintf(w, `{"access_token": "token %d", "expires_in": 3599, "token_type": "Bearer"}`, tokens.Add(1))
		}
	}))
	t.Cleanup(server.Close)
	t.Setenv("HOME", t.TempDir())
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(server.URL, "http://"))
	return &tokens
}

// The way that the server composes it: what the operator writes down comes before what the machine is.
func TestBehindADockerConfig(t *testing.T) {
	tokens := metadataServer(t)
	config, err := dockerconfig.Parse("test.json", []byte(`{"auths": {"eu.gcr.io": {"username": "_json_key", "password": "from the file"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	k := keychain.Chain(config, ambient.New())
	tests := []struct {
		host, password string
		tokens         int32 // handed out so far
	}{
		{"registry.example.com", "", 0},
		{"eu.gcr.io", "from the file", 0},
		{"us.gcr.io", "token 1", 1},
		{"us.gcr.io", "token 1", 1},
		{"asia.gcr.io", "token 2", 2},
	}
	for _, test := range tests {
		got, err := k.Credential(t.Context(), test.host)
		if err != nil || got.Password != test.password || tokens.Load() != test.tokens {
			t.Errorf("%s: got %q after %d tokens, error %v; want %q after %d", test.host, got.Password, tokens.Load(), err, test.password, test.tokens)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, host := range []string{"123456789012.dkr.ecr.eu-west-3.amazonaws.com", "eu.gcr.io", "team.azurecr.io"} {
		if !ambient.Match(host) {
			t.Errorf("%s does not match", host)
		}
	}
	if ambient.Match("registry.example.com") {
		t.Error("registry.example.com matches")
	}
}
