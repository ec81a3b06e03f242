// SPDX-License-Identifier: Apache-2.0

package registrytest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Basic guards a registry by a user name and password.
func Basic(user, password string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if u, p, ok := r.BasicAuth(); !ok || u != user || p != password {
				w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
				fail(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// Realm is a token server and what a registry knows of it.
type Realm struct {
	// URL is where challenges send clients.
	URL string
	// User and Password that buy a token by GET, and RefreshToken by POST; no POST where that is empty.
	User, Password, RefreshToken string
	// ExpiresIn is told to clients, in seconds; 0 leaves it out.
	ExpiresIn int
	// Grant narrows the scopes that were asked for; nil grants all.
	Grant func(asked []string) []string
	// Mute leaves the challenge out of refusals, except at /v2/.
	Mute bool

	mu     sync.Mutex
	issued map[string][]string
	count  int
}

// Revoke makes all tokens so far worthless.
func (a *Realm) Revoke() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.issued = nil
}

// ServeHTTP implements [http.Handler]: it sells tokens.
func (a *Realm) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var scopes []string
	if r.Method == http.MethodPost {
		if a.RefreshToken == "" {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		if r.PostFormValue("refresh_token") != a.RefreshToken || r.PostFormValue("grant_type") != "refresh_token" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		scopes = strings.Fields(r.PostFormValue("scope"))
	} else {
		if user, password, _ := r.BasicAuth(); user != a.User || password != a.Password {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		scopes = r.URL.Query()["scope"]
	}
	if a.Grant != nil {
		scopes = a.Grant(scopes)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count++
	token := fmt.Sprintf("token-%d", a.count)
	if a.issued == nil {
		a.issued = map[string][]string{}
	}
	a.issued[token] = scopes
	answer := map[string]any{"token": token}
	if a.ExpiresIn > 0 {
		answer["expires_in"] = a.ExpiresIn
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// Guard lets only those pass whose token has all rights that the request needs.
func (a *Realm) Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		needs := needed(r)
		a.mu.Lock()
		granted, known := a.issued[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
		a.mu.Unlock()
		if !known || slices.ContainsFunc(needs, func(need string) bool { return !covered(need, granted) }) {
			challenge := fmt.Sprintf(`Bearer realm=%q,service="registry.test"`, a.URL)
			if len(needs) > 0 {
				challenge += fmt.Sprintf(`,scope=%q`, strings.Join(needs, " "))
			}
			if !a.Mute || len(needs) == 0 {
				w.Header().Set("WWW-Authenticate", challenge)
			}
			fail(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func needed(r *http.Request) []string {
	path := strings.TrimPrefix(r.URL.Path, "/v2/")
	for _, part := range []string{"/blobs/", "/manifests/", "/tags/", "/referrers/"} {
		name, _, ok := strings.Cut(path, part)
		if !ok {
			continue
		}
		action := "pull,push"
		switch {
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			action = "pull"
		case r.Method == http.MethodDelete && !strings.Contains(path, "/uploads/"):
			action = "delete"
		}
		needs := []string{"repository:" + name + ":" + action}
		if from := r.URL.Query().Get("from"); from != "" {
			needs = append(needs, "repository:"+from+":pull")
		}
		return needs
	}
	return nil
}

func covered(need string, granted []string) bool {
	at := strings.LastIndex(need, ":")
	for action := range strings.SplitSeq(need[at+1:], ",") {
		if !slices.ContainsFunc(granted, func(scope string) bool {
			actions, ok := strings.CutPrefix(scope, need[:at+1])
			return ok && slices.Contains(strings.Split(actions, ","), action)
		}) {
			return false
		}
	}
	return true
}
