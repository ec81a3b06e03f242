// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// maxScopes is how many repositories one token covers at most. The token has to fit into a header.
const maxScopes = 16

// tokenRequest is what a client asks the token endpoint for.
type tokenRequest struct {
	id     string
	scopes []string
}

// tokenResponse is the answer (distribution token specification, "Token Response Fields"). It has no refresh
// token, which would be another license id.
type tokenResponse struct {
	Token       string `json:"token"`
	AccessToken string `json:"access_token"`
	ExpiresIn   int    `json:"expires_in"`
	IssuedAt    string `json:"issued_at"`
	Scope       string `json:"scope,omitempty"`
}

// serveToken answers [tokenPath]. The token covers what the license opens of what the client asked for. Which
// registries are configured takes no part in that, so nobody can find it out here. A license that has ended
// gets its token as well: what the token is shown for is refused with the reason, and most clients print that
// answer only (quirk K7).
func (v *visit) serveToken(w http.ResponseWriter, r *http.Request) error {
	v.record.Action = Auth
	httpserver.Started(r.Context(), "token", "", "")
	w.Header().Set("Cache-Control", "no-store")
	asked, err := readTokenRequest(w, r)
	if err != nil {
		return err
	}
	if asked.id == "" {
		return v.deny(Unauthenticated, errLicense().With("WWW-Authenticate", basic))
	}
	credential, ok := v.cfg.Catalog.Current().Credential(asked.id)
	if !ok {
		return v.wrong(UnknownLicense, errUnknown().With("WWW-Authenticate", basic))
	}
	v.holder(credential)
	v.admitted(r.Context(), credential, "a token, with which every request is decided anew")
	granted := v.grant(asked.scopes, credential.License.App)
	token, issued, err := v.cfg.Issuer.Issue(credential.Hash, granted)
	if err != nil {
		return err
	}
	return writeToken(w, token, issued, granted)
}

// readTokenRequest reads Basic from a GET, or the form of OAuth 2 from a POST. No refresh token was ever
// issued here. The 401 makes a client that sends one show its license instead.
func readTokenRequest(w http.ResponseWriter, r *http.Request) (tokenRequest, error) {
	switch r.Method {
	case http.MethodGet:
		_, id, _ := r.BasicAuth()
		return tokenRequest{id: id, scopes: words(field(r.URL.RawQuery, "scope"))}, nil
	case http.MethodPost:
		form, err := readForm(w, r)
		if err != nil {
			return tokenRequest{}, oci.Errorf(oci.BodyTooLarge, "the form cannot be read, takes longer than %s, or is longer than %d KiB", formTimeout, maxForm>>10).Because(err)
		}
		if first(field(form, "grant_type")) != "password" {
			return tokenRequest{}, oci.Errorf(oci.Unauthorized, "only grant_type=password, with a license id as the password, is supported").With("WWW-Authenticate", basic)
		}
		return tokenRequest{id: first(field(form, "password")), scopes: words(field(form, "scope"))}, nil
	default:
		return tokenRequest{}, oci.Errorf(oci.Unsupported, "the token endpoint takes GET and POST").With("Allow", "GET, POST")
	}
}

// grant returns those of the asked names that a license of this application can open at all. The
// specification has the others left out. Asking for them reveals nothing.
func (v *visit) grant(scopes []string, app string) []string {
	granted := []string{}
	for _, scope := range scopes {
		rest, ok := strings.CutPrefix(scope, "repository:")
		last := strings.LastIndex(rest, ":")
		if !ok || last < 0 || !slices.Contains(strings.Split(rest[last+1:], ","), "pull") {
			continue
		}
		name := rest[:last]
		operation, ref, err := v.grammar.read(http.MethodGet, "/v2/"+name+"/tags/list")
		if err == nil && operation.Name == name && ref.app == app && !slices.Contains(granted, name) && len(granted) < maxScopes {
			granted = append(granted, name)
		}
	}
	return granted
}

func writeToken(w http.ResponseWriter, token string, issued time.Time, granted []string) error {
	scopes := make([]string, len(granted))
	for i, name := range granted {
		scopes[i] = scopeOf(name)
	}
	body, err := json.Marshal(tokenResponse{
		Token: token, AccessToken: token, ExpiresIn: int(TokenLifetime.Seconds()), IssuedAt: stamp(issued),
		Scope: strings.Join(scopes, " "),
	})
	if err != nil {
		return fmt.Errorf("encode token: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, err = w.Write(body)
	return err
}
