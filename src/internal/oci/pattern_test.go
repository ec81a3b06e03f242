// SPDX-License-Identifier: Apache-2.0

package oci_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

func TestImagePatterns(t *testing.T) {
	for _, c := range []struct {
		pattern           string
		host, repo, tag   string
		matches, excludes []string
	}{
		{"team/api", "", "team/api", "", []string{"team/api"}, []string{"team", "api", "team/api/x", "a/team/api", "team/ap", "team/apis"}},
		{"team/*", "", "team/*", "", []string{"team/api", "team/a.b-c"}, []string{"team", "team/a/b", "steam/a"}},
		{"*", "", "*", "", []string{"busybox"}, []string{"library/busybox"}},
		{"**", "", "**", "", []string{"busybox", "a/b/c"}, nil},
		{"team/**", "", "team/**", "", []string{"team", "team/a", "team/a/b"}, []string{"teams/a"}},
		{"**/api", "", "**/api", "", []string{"api", "a/api", "a/b/api", "api/api"}, []string{"api/a", "a/apis"}},
		{"a/**/b/**/c", "", "a/**/b/**/c", "", []string{"a/b/c", "a/x/b/y/z/c", "a/b/b/c/c"}, []string{"a/c", "a/b", "a/c/b"}},
		{"te*m/a*i*", "", "te*m/a*i*", "", []string{"team/api", "tem/ai", "team/a-x-i-y"}, []string{"team/ap", "te/am/api"}},
		{"team/api:v1.*", "", "team/api", "v1.*", []string{"team/api"}, nil},
		{"team/api:*", "", "team/api", "", []string{"team/api"}, nil},
		{"quay.io/team/api", "quay.io", "team/api", "", []string{"team/api"}, []string{"quay.io/team/api"}},
		{"localhost/a", "localhost", "a", "", []string{"a"}, nil},
		{"localhost", "", "localhost", "", []string{"localhost"}, nil},
		{"a.b", "", "a.b", "", []string{"a.b"}, nil},
		{"a.*/b", "", "a.*/b", "", []string{"a.c/b"}, nil},
		{"localhost:5000/a/b:V1", "localhost:5000", "a/b", "V1", []string{"a/b"}, nil},
	} {
		p, err := oci.ParseImagePattern(c.pattern)
		if err != nil || p != (oci.ImagePattern{Host: c.host, Repository: c.repo, Tag: c.tag}) {
			t.Errorf("%s is %+v, %v", c.pattern, p, err)
		}
		for _, name := range c.matches {
			if !p.MatchRepository(name) {
				t.Errorf("%s does not match %s", c.pattern, name)
			}
		}
		for _, name := range c.excludes {
			if p.MatchRepository(name) {
				t.Errorf("%s matches %s", c.pattern, name)
			}
		}
	}
	for pattern, tags := range map[string]struct{ yes, no []string }{
		"v1.*":  {[]string{"v1.", "v1.0", "v1.2.3-rc"}, []string{"v1", "v10", "V1.0", "xv1.0"}},
		"*-rc*": {[]string{"v1-rc", "v1-rc1", "-rc"}, []string{"v1-r", "v1"}},
		"v1":    {[]string{"v1"}, []string{"v1.0", "v", "V1"}},
	} {
		for _, tag := range tags.yes {
			if !oci.MatchTag(pattern, tag) {
				t.Errorf("%s does not match %s", pattern, tag)
			}
		}
		for _, tag := range tags.no {
			if oci.MatchTag(pattern, tag) {
				t.Errorf("%s matches %s", pattern, tag)
			}
		}
	}
}

// TestAPatternIsDecidedQuickly however many stars are in it: it is looked at for each request.
func TestAPatternIsDecidedQuickly(t *testing.T) {
	name := strings.Repeat("a/", 127) + "a"
	if p, err := oci.ParseImagePattern(strings.Repeat("**/a*a*/", 60) + "b"); err != nil || p.MatchRepository(name) {
		t.Errorf("%+v, %v", p, err)
	}
	if oci.MatchTag(strings.Repeat("*a", 200)+"b", strings.Repeat("a", 128)) {
		t.Error("it matches")
	}
}

// FuzzPattern compares with a matcher that is made of regular expressions.
func FuzzPattern(f *testing.F) {
	for _, seed := range [][3]string{
		{"team/api", "team/api", "v1"}, {"team/**:v1.*", "team", "v1.0"}, {"**/a*/**/b:*x*y", "q/aa/c/d/b", "xxyxy"},
		{"**", "a/b", ""}, {"*/**", "a", ""}, {"**/**/*", "a", "v"}, {"quay.io/a*b*c:v*", "abbcc", "v"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, pattern, repository, tag string) {
		p, err := oci.ParseImagePattern(pattern)
		if err != nil || !oci.IsName(repository) {
			return
		}
		if got, want := p.MatchRepository(repository), naively(p.Repository, repository); got != want {
			t.Errorf("%q and the repository %q: %v, want %v", p.Repository, repository, got, want)
		}
		if !oci.IsTag(tag) || p.Tag == "" {
			return
		}
		if got, want := oci.MatchTag(p.Tag, tag), naively(p.Tag, tag); got != want {
			t.Errorf("%q and the tag %q: %v, want %v", p.Tag, tag, got, want)
		}
	})
}

func naively(pattern, text string) bool {
	// Each segment ends with its slash, so that ** is any number of them.
	var grammar strings.Builder
	for segment := range strings.SplitSeq(pattern, "/") {
		if segment == "**" {
			grammar.WriteString(`(?:[^/]+/)*`)
			continue
		}
		grammar.WriteString(strings.ReplaceAll(regexp.QuoteMeta(segment), `\*`, `[^/]*`) + "/")
	}
	return regexp.MustCompile(`^` + grammar.String() + `$`).MatchString(text + "/")
}
