// SPDX-License-Identifier: Apache-2.0

package proxytest

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// Answer is what the client was told. Its checks return it, so that they can be chained.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte

	what string
	t    testing.TB
}

// Is checks the status.
func (a *Answer) Is(status int) *Answer {
	a.t.Helper()
	if a.Status != status {
		a.t.Fatalf("%s: answered %d %s, want %d", a.what, a.Status, a.Body, status)
	}
	return a
}

// Has checks a header's value.
func (a *Answer) Has(header, value string) *Answer {
	a.t.Helper()
	if got := strings.Join(a.Header.Values(header), "; "); got != value {
		a.t.Errorf("%s: %s is %q, want %q", a.what, header, got, value)
	}
	return a
}

// Lacks checks that there are no such headers.
func (a *Answer) Lacks(headers ...string) *Answer {
	a.t.Helper()
	for _, header := range headers {
		if values := a.Header.Values(header); len(values) > 0 {
			a.t.Errorf("%s: has %s %q, want none", a.what, header, values)
		}
	}
	return a
}

// Says checks that the body contains a text.
func (a *Answer) Says(text string) *Answer {
	a.t.Helper()
	if !strings.Contains(string(a.Body), text) {
		a.t.Errorf("%s: answered %q, want %q in it", a.what, a.Body, text)
	}
	return a
}

// Hides checks that none of these texts is anywhere in the answer; the headers that the side puts on it
// itself are not looked at.
func (a *Answer) Hides(texts ...string) *Answer {
	a.t.Helper()
	for _, text := range texts {
		if strings.Contains(string(a.Body), text) {
			a.t.Errorf("%s: the body mentions %q: %s", a.what, text, a.Body)
		}
		for name, values := range a.Header {
			if name != "Lsp-Registry-Path" && name != "X-Request-Id" && strings.Contains(strings.Join(values, "\n"), text) {
				a.t.Errorf("%s: the header mentions %q: %s: %q", a.what, text, name, values)
			}
		}
	}
	return a
}

// Fails checks that the answer is OCI JSON with a code and status.
func (a *Answer) Fails(status int, code oci.Code) *Answer {
	a.t.Helper()
	a.Is(status).Has("Content-Type", "application/json")
	var body oci.ErrorBody
	if err := json.Unmarshal(a.Body, &body); err != nil || len(body.Errors) != 1 {
		a.t.Fatalf("%s: the answer is not one error in OCI JSON: %s", a.what, a.Body)
	}
	if body.Errors[0].Code != code || body.Errors[0].Message == "" {
		a.t.Errorf("%s: answered %s, want code %s and a message", a.what, a.Body, code)
	}
	return a
}

// Location returns the Location, which must be on no host, and without anything that the API server would
// change (quirk K1).
func (a *Answer) Location() string {
	a.t.Helper()
	location := a.Header.Get("Location")
	if !strings.HasPrefix(location, "/v2/source/") || strings.ContainsAny(location, "%?#") || strings.Contains(location, "//") {
		a.t.Fatalf("%s: Location is %q", a.what, location)
	}
	return location
}

// Fixed is a keychain with one credential for every host.
func Fixed(c keychain.Credential) keychain.Keychain {
	return keychain.Func(func(context.Context, string) (keychain.Credential, error) { return c, nil })
}
