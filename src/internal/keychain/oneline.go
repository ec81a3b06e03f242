// SPDX-License-Identifier: Apache-2.0

package keychain

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

// limit is the longest line in runes; a cause that needs more is an error page.
const limit = 300

var query = regexp.MustCompile(`(https?://[^\s"'?#]*)[?#][^\s"']*`)

// OneLineError is the text of err in one line. What net/url adds to an error, method and URL, is left out,
// and query strings of other URLs are cut.
func OneLineError(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok && u.Err != nil {
		host := u.URL
		if parsed, parseErr := url.Parse(u.URL); parseErr == nil {
			host = parsed.Host
		}
		return Text(host + ": " + u.Err.Error())
	}
	return Text(err.Error())
}

// Text is the first line of s that is not blank, without control characters and query strings, at most 300
// runes long.
func Text(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	s = strings.Join(strings.Fields(query.ReplaceAllString(s, "$1")), " ")
	if runes := []rune(s); len(runes) > limit {
		s = string(runes[:limit]) + "…"
	}
	return s
}
