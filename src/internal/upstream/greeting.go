// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/singleflight"
)

// sharedTimeout bounds what is asked of a registry on behalf of several requests.
const sharedTimeout = 20 * time.Second

// greeting is what a registry says to strangers at /v2/: the scheme that it speaks, and how it wants to see a
// credential. Some say the latter nowhere else (quirk A8).
type greeting struct {
	mu         sync.Mutex
	known      string // scheme
	challenges []oci.Challenge
	learned    bool
	guarded    bool // strangers are refused there
	group      singleflight.Group[struct{}]
}

func (g *greeting) scheme() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.known
}

// learn keeps the challenges of a refused request, which are newer than the greeting.
func (g *greeting) learn(challenges []oci.Challenge) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.challenges, g.learned = challenges, true
}

func (g *greeting) guard() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.guarded = true
}

func (g *greeting) isGuarded() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.guarded
}

func (g *greeting) get() ([]oci.Challenge, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.challenges, g.learned
}

// scheme returns "https" or "http". Only a loopback registry is asked: everywhere else plain HTTP must be
// said.
func (r *Registry) scheme(ctx context.Context) (string, error) {
	switch {
	case r.plainHTTP:
		r.greeting.setScheme("http")
	case !IsLoopback(r.api):
		r.greeting.setScheme("https")
	case r.greeting.scheme() == "":
		if err := r.greet(ctx); err != nil {
			return "", err
		}
	}
	return r.greeting.scheme(), nil
}

func (g *greeting) setScheme(scheme string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.known = scheme
}

// challenges returns what the registry wants to see, and asks it when that is not known yet.
func (r *Registry) challenges(ctx context.Context) ([]oci.Challenge, error) {
	if known, ok := r.greeting.get(); ok {
		return known, nil
	}
	if err := r.greet(ctx); err != nil {
		return nil, err
	}
	known, _ := r.greeting.get()
	return known, nil
}

// greet asks once for all who want to know. Whoever asked first may go away without the others' failing.
func (r *Registry) greet(ctx context.Context) error {
	_, err := r.greeting.group.Do(ctx, "greeting", sharedTimeout, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, r.ask(ctx)
	})
	return err
}

func (r *Registry) ask(ctx context.Context) error {
	ctx = WithCall(ctx, Call{Operation: "ping"})
	schemes := []string{"https"}
	switch known := r.greeting.scheme(); {
	case known != "":
		schemes = []string{known}
	case r.plainHTTP:
		schemes = []string{"http"}
	case IsLoopback(r.api):
		schemes = []string{"https", "http"}
	}
	var errs []error
	for _, scheme := range schemes {
		err := r.askWith(ctx, scheme)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
		if !speaksPlainHTTP(err) {
			break
		}
	}
	return errors.Join(errs...)
}

func (r *Registry) askWith(ctx context.Context, scheme string) error {
	u := url.URL{Scheme: scheme, Host: r.api, Path: "/v2/"}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fmt.Errorf("ask %s for its greeting: %w", r.api, err)
	}
	resp, err := r.anonymous.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("ask %s for its greeting: %w", r.api, err)
	}
	defer drain(resp)
	r.greeting.setScheme(scheme)
	if resp.StatusCode == http.StatusUnauthorized {
		r.greeting.guard()
	}
	if err := busy(resp, "ask "+r.api+" for its greeting"); err != nil {
		return err
	}
	switch {
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode < 300:
		r.greeting.learn(oci.ParseChallenges(resp.Header))
		return nil
	case resp.StatusCode >= 500:
		return fmt.Errorf("ask %s for its greeting: %s", r.api, http.StatusText(resp.StatusCode))
	default:
		// A registry without a greeting may still say what it wants where it wants it.
		r.greeting.learn(nil)
		return nil
	}
}

// speaksPlainHTTP reports whether a TLS handshake was answered in plain text.
func speaksPlainHTTP(err error) bool {
	_, ok := errors.AsType[tls.RecordHeaderError](err)
	return ok || errors.Is(err, http.ErrSchemeMismatch)
}
