// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"net/http"
	"net/url"
	"strings"
)

// NextLink returns the raw query of the link with rel="next", whether the link was relative or absolute. It
// is false when there is none that can be used.
func NextLink(header http.Header) (query string, ok bool) {
	for _, value := range header.Values("Link") {
		for value != "" {
			var target, params string
			if target, params, value, ok = cut(value); !ok {
				break
			}
			if !isNext(params) {
				continue
			}
			if u, err := url.Parse(target); err == nil && u.RawQuery != "" {
				return u.RawQuery, true
			}
		}
	}
	return "", false
}

// FormatLink writes a link to the next page. The path must be absolute; it is escaped where needed.
func FormatLink(path, rawQuery string) string {
	u := url.URL{Path: path, RawQuery: rawQuery}
	return "<" + u.String() + `>; rel="next"`
}

// cut takes the first link-value off a list: its target, its parameters and the rest of the list.
func cut(list string) (target, params, rest string, ok bool) {
	_, list, ok = strings.Cut(list, "<")
	if !ok {
		return "", "", "", false
	}
	target, list, ok = strings.Cut(list, ">")
	if !ok {
		return "", "", "", false
	}
	quoted := false
	for i, c := range []byte(list) {
		switch {
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			return target, list[:i], list[i+1:], true
		}
	}
	return target, list, "", true
}

func isNext(params string) bool {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(param, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "rel") {
			continue
		}
		for relation := range strings.FieldsSeq(strings.Trim(strings.TrimSpace(value), `"`)) {
			if strings.EqualFold(relation, "next") {
				return true
			}
		}
	}
	return false
}
