// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxForm bounds a POST body, in bytes.
const maxForm = 64 << 10

// answer is the JSON of a good answer. GET knows the token as "token", POST as "access_token"; both names are
// always written, because clients read either.
type answer struct {
	Token        string `json:"token"`
	AccessToken  string `json:"access_token"`
	ExpiresIn    int    `json:"expires_in"`
	IssuedAt     string `json:"issued_at"`
	Scope        string `json:"scope,omitempty"`
	RefreshToken string `json:"refresh_token,omitempty"`
}

// refusal is an error with its place in HTTP and OAuth2 (RFC 6749, section 5.2).
type refusal struct {
	status       int
	code, reason string
}

func (e *refusal) Error() string { return e.code + ": " + e.reason }

func badRequest(reason string) error {
	return &refusal{status: http.StatusBadRequest, code: "invalid_request", reason: reason}
}

func unauthorized() error {
	return &refusal{status: http.StatusUnauthorized, code: "invalid_grant", reason: "user name, password or token is wrong"}
}

// get serves the token specification's first form: Basic credentials, or none.
func (s *Server) get(r *http.Request, rec *Request) (answer, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return answer{}, badRequest("the query does not parse")
	}
	name, password, basic := r.BasicAuth()
	rec.Grant = "anonymous"
	user := User{Rights: s.cfg.Anonymous}
	if basic {
		rec.Grant, rec.User = "basic", name
	}
	asked, err := s.asked(query, rec)
	if err != nil {
		return answer{}, err
	}
	switch {
	case basic:
		var ok bool
		if user, ok = s.passwordFits(name, password); !ok {
			return answer{}, unauthorized()
		}
	case r.Header.Get("Authorization") != "", len(user.Rights) == 0:
		return answer{}, unauthorized()
	}
	offline := basic && query.Get("offline_token") == "true"
	return s.answer(name, intersect(asked, user.Rights), offline, rec)
}

// post serves the OAuth2 form: the grants "password" and "refresh_token".
func (s *Server) post(w http.ResponseWriter, r *http.Request, rec *Request) (answer, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return answer{}, badRequest("the form does not parse")
	}
	form := r.PostForm
	rec.Grant = form.Get("grant_type")
	asked, err := s.asked(form, rec)
	if err != nil {
		return answer{}, err
	}
	if form.Get("client_id") == "" {
		return answer{}, badRequest("client_id is missing")
	}
	var (
		name    = form.Get("username")
		user    User
		ok      bool
		offline = form.Get("access_type") == "offline"
	)
	switch rec.Grant {
	case "password":
		user, ok = s.passwordFits(name, form.Get("password"))
	case "refresh_token":
		name, user, ok = s.ownerOf(form.Get("refresh_token"))
	default:
		return answer{}, &refusal{
			status: http.StatusBadRequest, code: "unsupported_grant_type", reason: "want password or refresh_token",
		}
	}
	rec.User = name
	if !ok {
		return answer{}, unauthorized()
	}
	return s.answer(name, intersect(asked, user.Rights), offline, rec)
}

// asked reads service and scopes. Scopes may be repeated parameters, or several in one, separated by spaces.
func (s *Server) asked(values url.Values, rec *Request) ([]Scope, error) {
	for _, value := range values["scope"] {
		rec.Scopes = append(rec.Scopes, strings.Fields(value)...)
	}
	if service := values.Get("service"); service != s.cfg.Service {
		return nil, badRequest(fmt.Sprintf("service %q is not served here", service))
	}
	var scopes []Scope
	for _, text := range rec.Scopes {
		scope, err := ParseScope(text)
		if err != nil {
			return nil, badRequest(err.Error())
		}
		scopes = append(scopes, scope)
	}
	return scopes, nil
}

func (s *Server) answer(name string, granted []Scope, offline bool, rec *Request) (answer, error) {
	now := s.cfg.Now()
	token, err := s.sign(name, granted, now)
	if err != nil {
		return answer{}, err
	}
	rec.Granted = granted
	texts := make([]string, len(granted))
	for i, scope := range granted {
		texts[i] = scope.String()
	}
	ans := answer{
		Token:       token,
		AccessToken: token,
		ExpiresIn:   int(s.cfg.ExpiresIn / time.Second),
		IssuedAt:    now.UTC().Format(time.RFC3339),
		Scope:       strings.Join(texts, " "),
	}
	if offline {
		ans.RefreshToken = rand.Text()
		s.remember(ans.RefreshToken, name)
	}
	return ans, nil
}

// write sends the answer or the error and returns the status. Errors go out in both forms that clients read:
// the registry's ("errors") and OAuth2's ("error").
func write(w http.ResponseWriter, method, service string, ans answer, err error) int {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if err == nil {
		_ = json.NewEncoder(w).Encode(ans) // a client that is gone has nothing to be told
		return http.StatusOK
	}
	var refused *refusal
	if !errors.As(err, &refused) {
		refused = &refusal{status: http.StatusInternalServerError, code: "server_error", reason: err.Error()}
	}
	if refused.status == http.StatusUnauthorized && method == http.MethodGet {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf("Basic realm=%q", service))
	}
	w.WriteHeader(refused.status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"error":             refused.code,
		"error_description": refused.reason,
		"errors": []map[string]string{{
			"code": ociCode(refused.status), "message": refused.reason,
		}},
	})
	return refused.status
}

// ociCode is the distribution specification's error code for a status.
func ociCode(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "UNAUTHORIZED"
	case http.StatusMethodNotAllowed, http.StatusBadRequest:
		return "UNSUPPORTED"
	}
	return "UNKNOWN"
}
