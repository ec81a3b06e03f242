// SPDX-License-Identifier: Apache-2.0

package ambient

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
)

const host = "europe-west1-docker.pkg.dev"

// isolate hides this machine's own identities.
func isolate(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv(keyFileVariable, "")
	t.Setenv("GCE_METADATA_HOST", "")
}

func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// metadataServer hands out a token to those who ask as the protocol wants; status is for its token endpoint.
func metadataServer(t *testing.T, status int) {
	t.Helper()
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Metadata-Flavor") != "Google" {
			t.Errorf("%s was asked without Metadata-Flavor", r.URL.Path)
		}
		w.Header().Set("Metadata-Flavor", "Google")
		switch r.URL.Path {
		case "/computeMetadata/v1/project/project-id":
			io.WriteString(w, "project")
		case "/computeMetadata/v1/instance/service-accounts/default/token":
			if got := r.FormValue("scopes"); got != scope {
				t.Errorf("asked for the scopes %q", got)
			}
			if status != http.StatusOK {
				http.Error(w, "Unable to generate access token;\n IAM returned 403", status)
				return
			}
			io.WriteString(w, `{"access_token": "from-metadata", "expires_in": 3599, "token_type": "Bearer"}`)
		default:
			t.Errorf("unexpected request: %s", r.URL)
		}
	})
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(server.URL, "http://"))
}

func wantToken(t *testing.T, k keychain.Keychain, want string) {
	t.Helper()
	before := time.Now()
	got, err := k.Credential(t.Context(), host)
	if err != nil {
		t.Fatal(err)
	}
	if got.Username != googleUser || got.Password != want {
		t.Errorf("got user %q, password %q, want %q", got.Username, got.Password, want)
	}
	if got.Expires.Before(before.Add(3598*time.Second)) || got.Expires.After(time.Now().Add(3600*time.Second)) {
		t.Errorf("expires %v, asked at %v for an hour", got.Expires, before)
	}
}

func TestMetadataServer(t *testing.T) {
	isolate(t)
	metadataServer(t, http.StatusOK)
	wantToken(t, Google(), "from-metadata")
}

// The metadata server of GKE starts after the pod: a first failure must not last.
func TestMetadataServerComesLate(t *testing.T) {
	isolate(t)
	up := false
	k := googleProvider{onGoogle: func(context.Context) bool { return up }}.keychain()
	_, err := k.Credential(t.Context(), host)
	const want = "Google registry, europe-west1-docker.pkg.dev: find an identity: no key file and no metadata server: " + remedy
	if err == nil || err.Error() != want {
		t.Fatalf("got  %v\nwant %s", err, want)
	}
	up = true
	metadataServer(t, http.StatusOK)
	wantToken(t, k, "from-metadata")
}

func TestMetadataServerRefuses(t *testing.T) {
	isolate(t)
	metadataServer(t, http.StatusForbidden)
	_, err := Google().Credential(t.Context(), host)
	const want = "Google registry, europe-west1-docker.pkg.dev: get an access token: the metadata server answers 403: Unable to generate access token;: " + remedy
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// keyFile writes a service account's key whose token endpoint is at uri.
func keyFile(t *testing.T, uri string) *rsa.PublicKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	content, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "push@project.iam.gserviceaccount.com", "private_key_id": "1", "token_uri": uri,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(keyFileVariable, path)
	return &key.PublicKey
}

func TestKeyFile(t *testing.T) {
	isolate(t)
	var public *rsa.PublicKey
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.FormValue("grant_type"); got != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
			t.Errorf("got grant type %q", got)
		}
		claims := jwt.MapClaims{}
		if _, err := jwt.ParseWithClaims(r.FormValue("assertion"), claims, func(*jwt.Token) (any, error) { return public, nil }); err != nil {
			t.Errorf("the assertion is not signed with the key of the file: %v", err)
		}
		if claims["iss"] != "push@project.iam.gserviceaccount.com" || claims["scope"] != scope {
			t.Errorf("asserted %v", claims)
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"access_token": "from-key", "expires_in": 3599, "token_type": "Bearer"}`)
	})
	public = keyFile(t, server.URL)
	k := googleProvider{onGoogle: func(context.Context) bool { t.Error("looked for a metadata server"); return false }}.keychain()
	wantToken(t, k, "from-key")
}

func TestKeyFileFails(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"refused", 400, `{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}`, "invalid_grant: Invalid JWT Signature."},
		{"no reason", 404, "<html>", "the token endpoint answers 404 Not Found"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			isolate(t)
			keyFile(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(test.status)
				fmt.Fprint(w, test.body)
			}).URL)
			_, err := Google().Credential(t.Context(), host)
			if err == nil {
				t.Fatal("no error")
			}
			want := "Google registry, " + host + ": get an access token: " + test.want + ": " + remedy
			if diff := cmp.Diff(want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestKeyFileIsMissing(t *testing.T) {
	isolate(t)
	t.Setenv(keyFileVariable, "/nowhere/key.json")
	_, err := Google().Credential(t.Context(), host)
	const want = "Google registry, europe-west1-docker.pkg.dev: find an identity: google: error getting credentials using GOOGLE_APPLICATION_CREDENTIALS environment variable: open /nowhere/key.json: no such file or directory: " + remedy
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestQuestionEndsWithItsContext(t *testing.T) {
	isolate(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	gone, answered := errors.New("client is gone"), make(chan struct{})
	keyFile(t, serve(t, func(http.ResponseWriter, *http.Request) {
		cancel(gone)
		<-answered
	}).URL)
	_, err := Google().Credential(ctx, host)
	close(answered)
	if !errors.Is(err, gone) {
		t.Errorf("got error %v, want %v", err, gone)
	}
}

func TestMatch(t *testing.T) {
	for _, host := range []string{host, "docker.pkg.dev", "gcr.io", "EU.gcr.io"} {
		if !IsGoogle(host) {
			t.Errorf("%q does not match", host)
		}
	}
	for _, host := range []string{"", "pkg.dev", ".pkg.dev", ".gcr.io", "evilgcr.io", "gcr.io.example.com", "gcr.io:5000", "x.pkg.dev:80", "evil.com:80/x.pkg.dev"} {
		if IsGoogle(host) {
			t.Errorf("%q matches", host)
		}
	}
}

func TestForeignHostIsAnonymousWithoutAsking(t *testing.T) {
	isolate(t)
	k := googleProvider{onGoogle: func(context.Context) bool { t.Error("looked for a metadata server"); return false }}.keychain()
	if got, err := k.Credential(t.Context(), "registry.example.com"); err != nil || !got.Anonymous() {
		t.Errorf("got %v, %v", got, err)
	}
}
