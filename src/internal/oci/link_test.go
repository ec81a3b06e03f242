// SPDX-License-Identifier: Apache-2.0

package oci_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

func TestNext(t *testing.T) {
	for name, test := range map[string]struct {
		lines []string
		want  string
	}{
		"relative (quirk D4)":    {[]string{`</v2/team/app/tags/list?n=2&last=b>; rel="next"`}, "n=2&last=b"},
		"absolute (quirk D4)":    {[]string{`<https://registry.test/v2/team/app/tags/list?last=b%2Bc&n=2>; rel="next"`}, "last=b%2Bc&n=2"},
		"query alone":            {[]string{`<?next_page=gAAAA%3D>; rel="next"`}, "next_page=gAAAA%3D"},
		"no quotes":              {[]string{`</v2/x/tags/list?n=1>; rel=next`}, "n=1"},
		"capitals, spaces":       {[]string{`  </v2/x/tags/list?n=1> ;  Rel = "NEXT"`}, "n=1"},
		"several relations":      {[]string{`</v2/x/tags/list?n=1>; rel="last next"`}, "n=1"},
		"second of a list":       {[]string{`</v2/x?p=0>; rel="prev"; title="a, b", </v2/x?p=2>; rel="next"`}, "p=2"},
		"second line":            {[]string{`</v2/x?p=0>; rel="prev"`, `</v2/x?p=2>; rel="next"`}, "p=2"},
		"comma in the target":    {[]string{`</v2/x?last=a,b>; rel="next"`}, "last=a,b"},
		"another relation":       {[]string{`</v2/x?p=0>; rel="prev"`}, ""},
		"no query":               {[]string{`</v2/x>; rel="next"`}, ""},
		"not a link":             {[]string{`next`}, ""},
		"never closed":           {[]string{`</v2/x?n=1`}, ""},
		"not a URL":              {[]string{"<http://[::1?n=1>; rel=\"next\""}, ""},
		"no header":              {nil, ""},
		"relation without value": {[]string{`</v2/x?n=1>; rel`}, ""},
	} {
		got, ok := oci.NextLink(http.Header{"Link": test.lines})
		if got != test.want || ok != (test.want != "") {
			t.Errorf("%s: %q, %v; want %q", name, got, ok, test.want)
		}
	}
}

func TestFormat(t *testing.T) {
	if got, want := oci.FormatLink("/v2/source/tags/list", "n=2&last=b"), `</v2/source/tags/list?n=2&last=b>; rel="next"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzNext(f *testing.F) {
	f.Add(`</v2/x?p=0>; rel="prev", </v2/x?p=2>; rel="next"`)
	f.Add(`<?n=1>;rel=next`)
	f.Add(`<<>>;";,rel=next`)
	f.Fuzz(func(t *testing.T, line string) {
		query, ok := oci.NextLink(http.Header{"Link": {line}})
		if !ok {
			return
		}
		again, ok := oci.NextLink(http.Header{"Link": {oci.FormatLink("/v2/source/tags/list", query)}})
		if u, err := url.Parse("?" + query); err == nil && u.RawQuery == query && (!ok || again != query) {
			t.Errorf("%q: what was read, %q, reads as %q once written", line, query, again)
		}
	})
}
