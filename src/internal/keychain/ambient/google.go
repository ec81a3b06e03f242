// SPDX-License-Identifier: Apache-2.0

package ambient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cloud.google.com/go/compute/metadata"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
)

const (
	googleUser = "oauth2accesstoken"
	scope      = "https://www.googleapis.com/auth/cloud-platform"

	keyFileVariable = "GOOGLE_APPLICATION_CREDENTIALS"
	// early makes the library ask the metadata server again when we renew: that server hands out a new token
	// 4 minutes before the old one expires, and asks its users to come 225 seconds before.
	early = 225 * time.Second
	// answer is the longest that a token endpoint may take.
	answer = 30 * time.Second

	remedy = "bind the ServiceAccount to a Google service account (workload identity), set " + keyFileVariable + " to a key file, or use a docker config"
)

// IsGoogle reports whether the host is a registry of Google's: *.pkg.dev, gcr.io or *.gcr.io.
func IsGoogle(host string) bool {
	host = strings.ToLower(host)
	for _, suffix := range []string{".pkg.dev", ".gcr.io"} {
		if name, ok := strings.CutSuffix(host, suffix); ok && name != "" && !strings.ContainsAny(name, ":/@") {
			return true
		}
	}
	return host == "gcr.io"
}

// Google returns the keychain of Google's registries. It does nothing until it is asked for one; other hosts
// are anonymous.
//
// Sources of identity are those of Google's libraries: GOOGLE_APPLICATION_CREDENTIALS, gcloud's file below
// HOME, and the metadata server, which GCE_METADATA_HOST can name.
func Google() keychain.Keychain {
	return googleProvider{onGoogle: metadata.NewClient(nil).OnGCEWithContext}.keychain()
}

type googleProvider struct {
	onGoogle func(context.Context) bool // is there a metadata server?
}

func (p googleProvider) keychain() keychain.Keychain {
	return keychain.Match(IsGoogle, keychain.Func(p.credential))
}

func (p googleProvider) credential(ctx context.Context, host string) (keychain.Credential, error) {
	// The library looks for a metadata server once and believes the result for ever. That of GKE is not there
	// in a pod's first seconds, so the library must not look before there is one.
	if !hasFile() && !p.onGoogle(ctx) {
		return keychain.Credential{}, googleError(host, "find an identity", errors.New("no key file and no metadata server"))
	}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Timeout: answer})
	found, err := google.FindDefaultCredentialsWithParams(ctx,
		google.CredentialsParams{Scopes: []string{scope}, EarlyTokenRefresh: early})
	if err != nil {
		return keychain.Credential{}, googleError(host, "find an identity", err)
	}
	token, err := ask(ctx, found.TokenSource)
	if err != nil {
		return keychain.Credential{}, googleError(host, "get an access token", err)
	}
	return keychain.Credential{Username: googleUser, Password: token.AccessToken, Expires: token.Expiry}, nil
}

// ask ends with ctx, which a token source of the metadata server does not.
func ask(ctx context.Context, source oauth2.TokenSource) (*oauth2.Token, error) {
	type result struct {
		token *oauth2.Token
		err   error
	}
	results := make(chan result, 1)
	go func() {
		token, err := source.Token()
		results <- result{token, err}
	}()
	select {
	case r := <-results:
		return r.token, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// hasFile reports whether the library will find a file and not look for a metadata server.
func hasFile() bool {
	if os.Getenv(keyFileVariable) != "" {
		return true
	}
	_, err := os.Stat(filepath.Join(os.Getenv("HOME"), ".config", "gcloud", "application_default_credentials.json"))
	return err == nil
}

// googleError prefers what Google answered, without the request that led to it.
func googleError(host, step string, err error) error {
	cause := keychain.OneLineError(err)
	if answer, ok := errors.AsType[*oauth2.RetrieveError](err); ok && answer.Response != nil {
		cause = "the token endpoint answers " + answer.Response.Status
		var said struct { // RFC 6749, section 5.2; the library does not read it for service accounts
			Error       string `json:"error"`
			Description string `json:"error_description"`
		}
		if json.Unmarshal(answer.Body, &said) == nil && said.Error != "" {
			cause = keychain.Text(said.Error + ": " + said.Description)
		}
	}
	if answer, ok := errors.AsType[*metadata.Error](err); ok {
		cause = fmt.Sprintf("the metadata server answers %d: %s", answer.Code, keychain.Text(answer.Message))
	}
	return &keychain.Error{Cloud: "Google registry", Host: host, Step: step, Cause: cause, Remedy: remedy, Err: err}
}
