// SPDX-License-Identifier: Apache-2.0

package tokenserver_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/tokenserver"
)

const service = "registry.test"

var pushSource = tokenserver.Scope{Type: "repository", Name: "demo/source", Actions: []string{"pull", "push"}}

func newServer(t *testing.T, change func(*tokenserver.Config)) *tokenserver.Server {
	t.Helper()
	cfg := tokenserver.Config{
		Service: service,
		Users: map[string]tokenserver.User{"operator": {
			Password:     "correct",
			RefreshToken: "identity",
			Rights:       []tokenserver.Scope{{Type: "repository", Name: "demo/*", Actions: []string{"pull", "push"}}},
		}},
	}
	if change != nil {
		change(&cfg)
	}
	server, err := tokenserver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// reply is what a client sees.
type reply struct {
	Token, Scope, Error string
	RefreshToken        string `json:"refresh_token"`
	ExpiresIn           int    `json:"expires_in"`
	status              int
	challenge           string
}

func send(t *testing.T, server http.Handler, req *http.Request) reply {
	t.Helper()
	rec := httptest.NewRecorder()
	server.ServeHTTP(rec, req)
	got := reply{status: rec.Code, challenge: rec.Header().Get("WWW-Authenticate")}
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
		t.Fatalf("answer %q: %v", rec.Body, err)
	}
	return got
}

func get(t *testing.T, server http.Handler, user, password string, query url.Values) reply {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/token?"+query.Encode(), nil)
	if user != "" {
		req.SetBasicAuth(user, password)
	}
	return send(t, server, req)
}

func post(t *testing.T, server http.Handler, form url.Values) reply {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/token", strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return send(t, server, req)
}

func values(pairs ...string) url.Values {
	v := url.Values{"service": {service}, "client_id": {"test"}}
	for i := 0; i < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v
}

func TestGet(t *testing.T) {
	t.Parallel()
	pullDemo := []tokenserver.Scope{{Type: "repository", Name: "demo/source", Actions: []string{"pull"}}}
	tests := map[string]struct {
		user, password string
		anonymous      []tokenserver.Scope
		query          url.Values
		status         int
		scope          string
	}{
		"all that was asked": {
			user: "operator", password: "correct", query: values("scope", "repository:demo/source:pull,push"),
			status: 200, scope: "repository:demo/source:pull,push",
		},
		"two parameters, two scopes": {
			user: "operator", password: "correct", query: values("scope", "repository:demo/a:pull", "scope", "repository:demo/b:push"),
			status: 200, scope: "repository:demo/a:pull repository:demo/b:push",
		},
		"two scopes in one parameter": {
			user: "operator", password: "correct", query: values("scope", "repository:demo/a:pull repository:demo/b:push"),
			status: 200, scope: "repository:demo/a:pull repository:demo/b:push",
		},
		"more than the rights": {
			user: "operator", password: "correct",
			query:  values("scope", "repository:demo/a:pull,delete", "scope", "repository:other/a:pull", "scope", "registry:catalog:*"),
			status: 200, scope: "repository:demo/a:pull",
		},
		"no scope":                  {user: "operator", password: "correct", query: values(), status: 200},
		"wrong password":            {user: "operator", password: "wrong", query: values(), status: 401},
		"unknown user":              {user: "nobody", password: "correct", query: values(), status: 401},
		"unknown user, no password": {user: "nobody", query: values(), status: 401},
		"anonymous without rights":  {query: values("scope", "repository:demo/source:pull"), status: 401},
		"anonymous with rights":     {anonymous: pullDemo, query: values("scope", "repository:demo/source:pull,push"), status: 200, scope: "repository:demo/source:pull"},
		"wrong password is not anonymous": {
			user: "operator", password: "wrong", anonymous: pullDemo, query: values(), status: 401,
		},
		"another service": {user: "operator", password: "correct", query: url.Values{"service": {"other"}}, status: 400},
		"malformed scope": {user: "operator", password: "correct", query: values("scope", "demo"), status: 400},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newServer(t, func(c *tokenserver.Config) { c.Anonymous = tc.anonymous })
			got := get(t, server, tc.user, tc.password, tc.query)
			if got.status != tc.status || got.Scope != tc.scope {
				t.Errorf("got %d with scope %q, want %d with %q", got.status, got.Scope, tc.status, tc.scope)
			}
			if hasToken := got.Token != ""; hasToken != (tc.status == 200) {
				t.Errorf("token present: %t", hasToken)
			}
			if challenged := got.challenge != ""; challenged != (tc.status == 401) {
				t.Errorf("challenge %q with status %d", got.challenge, got.status)
			}
		})
	}
}

func TestPost(t *testing.T) {
	t.Parallel()
	const scope = "repository:demo/source:pull,push"
	tests := map[string]struct {
		form   url.Values
		status int
		err    string
	}{
		"password":       {form: values("grant_type", "password", "username", "operator", "password", "correct", "scope", scope), status: 200},
		"identity token": {form: values("grant_type", "refresh_token", "refresh_token", "identity", "scope", scope), status: 200},
		"wrong password": {form: values("grant_type", "password", "username", "operator", "password", "wrong"), status: 401, err: "invalid_grant"},
		"unknown token":  {form: values("grant_type", "refresh_token", "refresh_token", "other"), status: 401, err: "invalid_grant"},
		"empty token":    {form: values("grant_type", "refresh_token"), status: 401, err: "invalid_grant"},
		"unknown grant":  {form: values("grant_type", "magic"), status: 400, err: "unsupported_grant_type"},
		"no client id":   {form: url.Values{"service": {service}, "grant_type": {"password"}}, status: 400, err: "invalid_request"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := post(t, newServer(t, nil), tc.form)
			if got.status != tc.status || got.Error != tc.err {
				t.Errorf("got %d %q, want %d %q", got.status, got.Error, tc.status, tc.err)
			}
			if tc.status == 200 && got.Scope != scope {
				t.Errorf("scope %q, want %q", got.Scope, scope)
			}
		})
	}
}

func TestOtherMethodsAreRefused(t *testing.T) {
	t.Parallel()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodDelete, "/token", nil)
	if got := send(t, newServer(t, nil), req); got.status != http.StatusMethodNotAllowed {
		t.Errorf("status %d", got.status)
	}
}

func TestRefreshTokenIsHandedOutAndEndsWithThePassword(t *testing.T) {
	t.Parallel()
	server := newServer(t, nil)
	first := get(t, server, "operator", "correct", values("offline_token", "true"))
	if first.RefreshToken == "" {
		t.Fatal("no refresh token")
	}
	use := values("grant_type", "refresh_token", "refresh_token", first.RefreshToken)
	if got := post(t, server, use); got.status != http.StatusOK {
		t.Errorf("refresh: %d", got.status)
	}
	server.SetUser("operator", tokenserver.User{Password: "new"})
	if got := post(t, server, use); got.status != http.StatusUnauthorized {
		t.Errorf("refresh after the password changed: %d", got.status)
	}
	if got := get(t, server, "operator", "correct", values()); got.status != http.StatusUnauthorized {
		t.Errorf("old password: %d", got.status)
	}
	if got := get(t, server, "operator", "new", values()); got.status != http.StatusOK {
		t.Errorf("new password: %d", got.status)
	}
}

func TestRequestsAreRecordedWithoutSecrets(t *testing.T) {
	t.Parallel()
	server := newServer(t, nil)
	get(t, server, "operator", "correct", values("scope", pushSource.String()))
	post(t, server, values("grant_type", "refresh_token", "refresh_token", "other", "scope", pushSource.String()))
	want := []tokenserver.Request{
		{
			Method: "GET", Grant: "basic", User: "operator", Scopes: []string{pushSource.String()},
			Granted: []tokenserver.Scope{pushSource}, Status: 200,
		},
		{Method: "POST", Grant: "refresh_token", Scopes: []string{pushSource.String()}, Status: 401},
	}
	if diff := cmp.Diff(want, server.Requests()); diff != "" {
		t.Error(diff)
	}
	server.Reset()
	if got := server.Requests(); len(got) != 0 {
		t.Errorf("after Reset: %v", got)
	}
}

func TestNewRefusesBadConfig(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		cfg  tokenserver.Config
		want string
	}{
		"no service":        {cfg: tokenserver.Config{}, want: "service"},
		"unknown algorithm": {cfg: tokenserver.Config{Service: service, Algorithm: "HS256"}, want: "HS256"},
		"too short a life":  {cfg: tokenserver.Config{Service: service, ExpiresIn: time.Millisecond}, want: "1ms"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := tokenserver.New(tc.cfg); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want something about %q", err, tc.want)
			}
		})
	}
}
