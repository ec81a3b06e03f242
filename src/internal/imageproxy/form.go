// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// maxForm is the longest form of a client that asks for a token, in bytes.
	maxForm = 16 << 10
	// formTimeout is how long the form may take to arrive. The sender may have no license.
	formTimeout = 10 * time.Second
	// maxAsked is how many repositories of a request for a token are looked at.
	maxAsked = 100
)

// readForm reads a form, within its limits of length and time.
func readForm(w http.ResponseWriter, r *http.Request) (string, error) {
	reading := http.NewResponseController(w)
	_ = reading.SetReadDeadline(time.Now().Add(formTimeout)) // every server's connections have one; those of tests may not
	defer func() { _ = reading.SetReadDeadline(time.Time{}) }()
	form, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	if err != nil {
		return "", fmt.Errorf("read the form: %w", err)
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return "", nil
	}
	return string(form), nil
}

// field returns the values of one field of a form or query, and passes over all others. There can be
// thousands, of senders without a license, and a map of them takes a processor a hundred times as long. A
// value that cannot be read is none.
func field(form, name string) []string {
	var values []string
	for pair := range strings.SplitSeq(form, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if key != name && !escaped(key, name) {
			continue
		}
		if plain, err := url.QueryUnescape(value); err == nil {
			values = append(values, plain)
		}
	}
	return values
}

// escaped reports whether a key is the name in another form.
func escaped(key, name string) bool {
	if len(key) > 3*len(name) || !strings.Contains(key, "%") {
		return false
	}
	plain, err := url.QueryUnescape(key)
	return err == nil && plain == name
}

// first returns the first value; empty without one.
func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// words returns the scopes that are looked at: some clients send one parameter, others several.
func words(scopes []string) []string {
	var all []string
	for _, scope := range scopes {
		for word := range strings.FieldsSeq(scope) {
			if all = append(all, word); len(all) == maxAsked {
				return all
			}
		}
	}
	return all
}
