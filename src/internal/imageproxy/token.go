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

const (
	// maxForm is the longest form of a client that buys a token, in bytes.
	maxForm = 16 << 10
	// formTimeout is how long the form may take: whoever sends it need not have a license.
	formTimeout = 10 * time.Second
	// maxScopes is how many repositories one token is good for at most; it has to fit into a header.
	maxScopes = 16
)

// order is what a client asks of the token server.
type order struct {
	id     string
	scopes []string
}

// sold is the answer of the token server (distribution token specification, "Token Response Fields"). There is no refresh token: it
// would be another license id.
type sold struct {
	Token       string `json:"token"`
	AccessToken string `json:"access_token"`
	ExpiresIn   int    `json:"expires_in"`
	IssuedAt    string `json:"issued_at"`
	Scope       string `json:"scope,omitempty"`
}

// sell answers [tokenPath]: a license id buys a token for what its license opens of what was asked for. Whether a registry is
// configured takes no part in it, and so cannot be found out here.
func (v *visit) sell(w http.ResponseWriter, r *http.Request) error {
	v.record.Action = Auth
	httpserver.Started(r.Context(), "token", "", "")
	w.Header().Set("Cache-Control", "no-store")
	asked, err := ask(w, r)
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
	if err := v.inForce(credential); err != nil {
		return err
	}
	granted := v.grant(asked.scopes, credential.License.App)
	token, issued, err := v.cfg.Tickets.Issue(credential.Hash, granted)
	if err != nil {
		return err
	}
	return deliver(w, token, issued, granted)
}

// ask reads an order: Basic, or a form as OAuth 2 has it. A refresh token is nothing that was ever given out here; 401 is what
// makes clients show their license instead.
func ask(w http.ResponseWriter, r *http.Request) (order, error) {
	switch r.Method {
	case http.MethodGet:
		_, id, _ := r.BasicAuth()
		return order{id: id, scopes: fields(r.URL.Query()["scope"])}, nil
	case http.MethodPost:
		if err := parse(w, r); err != nil {
			return order{}, oci.Errorf(oci.BodyTooLarge, "the form cannot be read, takes longer than %s, or is longer than %d KiB", formTimeout, maxForm>>10).Because(err)
		}
		if r.PostForm.Get("grant_type") != "password" {
			return order{}, oci.Errorf(oci.Unauthorized, "tokens are given for a license id only: grant_type=password").With("WWW-Authenticate", basic)
		}
		return order{id: r.PostForm.Get("password"), scopes: fields(r.PostForm["scope"])}, nil
	default:
		return order{}, oci.Errorf(oci.Unsupported, "tokens are got by GET or POST").With("Allow", "GET, POST")
	}
}

// parse reads a form, which may neither be long nor take long.
func parse(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	reading := http.NewResponseController(w)
	_ = reading.SetReadDeadline(time.Now().Add(formTimeout)) // every server's connections have one; those of tests may not
	defer func() { _ = reading.SetReadDeadline(time.Time{}) }()
	return r.ParseForm()
}

// fields takes apart what some clients put into one parameter and others into several.
func fields(scopes []string) []string { return strings.Fields(strings.Join(scopes, " ")) }

// grant returns the names, of those asked for, that a license of this application can ever open. Others are left out, as the
// specification has it; asking for them tells nothing.
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

func deliver(w http.ResponseWriter, token string, issued time.Time, granted []string) error {
	scopes := make([]string, len(granted))
	for i, name := range granted {
		scopes[i] = scopeOf(name)
	}
	body, err := json.Marshal(sold{
		Token: token, AccessToken: token, ExpiresIn: int(TokenLifetime.Seconds()), IssuedAt: stamp(issued), Scope: strings.Join(scopes, " "),
	})
	if err != nil {
		return fmt.Errorf("encode token: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, err = w.Write(body)
	return err
}
