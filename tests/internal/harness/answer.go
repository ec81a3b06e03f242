// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Answer is what a raw request brought.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte

	asked string
}

// Request is a raw request, as a client's library would never send it.
type Request struct {
	Method, URL string
	Body        io.Reader
	Header      http.Header
	// Length is the Content-Length; -1 sends chunks. Zero leaves it to the body's type.
	Length int64
}

// Call sends a request, follows no redirect, and reads the whole answer. Failing to get one fails the test.
func Call(t testing.TB, r Request) Answer {
	t.Helper()
	answer, err := Try(t.Context(), newClient(t), r)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// Try is [Call] for requests that may fail, and for other goroutines.
func Try(ctx context.Context, client *http.Client, r Request) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, r.Method, r.URL, r.Body)
	if err != nil {
		return Answer{}, err
	}
	for key, values := range r.Header {
		request.Header[key] = values
	}
	if r.Length != 0 {
		request.ContentLength = r.Length
	}
	response, err := client.Do(request)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return Answer{
		Status: response.StatusCode, Header: response.Header, Body: body, asked: r.Method + " " + request.URL.Path,
	}, err
}

// Want fails the test unless the answer has this status.
func (a Answer) Want(t testing.TB, status int) Answer {
	t.Helper()
	if a.Status != status {
		t.Fatalf("%s: status %d, want %d: %.300s", a.asked, a.Status, status, a.Body)
	}
	return a
}

// WantError fails the test unless the answer is OCI JSON with this status and code. An answer to HEAD has no
// body.
func (a Answer) WantError(t testing.TB, status int, code string) Answer {
	t.Helper()
	a.Want(t, status)
	if got := a.Code(t); got != code {
		t.Fatalf("%s: code %s, want %s: %.300s", a.asked, got, code, a.Body)
	}
	return a
}

// Code returns the first error code of OCI JSON (distribution-spec 1.1, "Error Codes"); an answer in another
// form fails the test.
func (a Answer) Code(t testing.TB) string {
	t.Helper()
	var body struct {
		Errors []struct{ Code, Message string }
	}
	if kind := a.Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/json") {
		t.Fatalf("%s: %d with Content-Type %q, want OCI JSON: %.300s", a.asked, a.Status, kind, a.Body)
	}
	if err := json.Unmarshal(a.Body, &body); err != nil || len(body.Errors) == 0 || body.Errors[0].Message == "" {
		t.Fatalf("%s: %d is not OCI JSON with a message (%v): %.300s", a.asked, a.Status, err, a.Body)
	}
	return body.Errors[0].Code
}

// Location resolves the Location against the address that was asked.
func (a Answer) Location(t testing.TB, asked string) string {
	t.Helper()
	base, err := url.Parse(asked)
	if err != nil {
		t.Fatal(err)
	}
	location := a.Header.Get("Location")
	if location == "" {
		t.Fatalf("%s: no Location", a.asked)
	}
	next, err := base.Parse(location)
	if err != nil {
		t.Fatalf("%s: Location %q: %v", a.asked, location, err)
	}
	return next.String()
}
