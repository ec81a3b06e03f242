// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Double is a registry, or a host beside one, that answers as a test says and remembers what it was asked.
type Double struct {
	// Host is where it listens.
	Host string

	server   *httptest.Server
	mu       sync.Mutex
	requests []Seen
}

// Seen is a request that reached a double.
type Seen struct {
	Method, Path, Query string
	Header              http.Header
}

// NewDouble starts a double. The keys of routes are patterns of [http.ServeMux]; a request that fits none
// fails the test.
func NewDouble(t testing.TB, routes map[string]http.HandlerFunc) *Double {
	t.Helper()
	mux := http.NewServeMux()
	for pattern, handler := range routes {
		mux.HandleFunc(pattern, handler)
	}
	if _, has := routes["/"]; !has {
		mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
			t.Errorf("the double was asked for %s %s, which no route expects", r.Method, r.URL.Path)
			http.Error(w, "unexpected", http.StatusNotImplemented)
		})
	}
	double := &Double{}
	double.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		double.mu.Lock()
		double.requests = append(double.requests, Seen{r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Clone()})
		double.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(double.server.Close)
	double.Host = strings.TrimPrefix(double.server.URL, "http://")
	return double
}

// Requests returns what it was asked so far.
func (d *Double) Requests() []Seen {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.requests)
}

// Registry is the double as an upstream, with the operator's credential.
func (d *Double) Registry() *Registry {
	return &Registry{Host: d.Host, Username: Username, Password: Password}
}

// WithCredentials returns the requests that carried an Authorization.
func (d *Double) WithCredentials() []Seen {
	return slices.DeleteFunc(d.Requests(), func(s Seen) bool { return s.Header.Get("Authorization") == "" })
}

// Basic lets a handler answer only the operator, as a registry with htpasswd does.
func Basic(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != Username || password != Password {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry of a test"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
			return
		}
		next(w, r)
	}
}

// Pong answers /v2/ and any other request with an empty 200.
func Pong(http.ResponseWriter, *http.Request) {}
