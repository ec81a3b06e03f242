// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"fmt"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
)

func TestImagesOfARepository(t *testing.T) {
	many := make([]string, 64)
	for i := range many {
		many[i] = fmt.Sprintf("team/api:v%d", i)
	}
	const quay = "quay.io"
	for name, c := range map[string]struct {
		images         []string
		host, repo     string
		none, whole    bool
		has, lacks     []string
		fixed, settled string
	}{
		"all":              {nil, quay, "team/api", false, true, []string{"v1"}, nil, "", ""},
		"the repository":   {[]string{"team/api"}, quay, "team/api", false, true, []string{"v1"}, nil, "", ""},
		"another":          {[]string{"team/web", "team/web:v1"}, quay, "team/api", true, false, nil, []string{"v1"}, "", ""},
		"some tags":        {[]string{"team/web", "team/api:v1.*", "team/*:edge"}, quay, "team/api", false, false, []string{"v1.0", "edge"}, []string{"v2.0", "v1"}, "edge", ""},
		"single tags":      {[]string{"team/api:v1", "team/api:v2"}, quay, "team/api", false, false, []string{"v1", "v2"}, []string{"v3"}, "v1 v2", "yes"},
		"tags and all":     {[]string{"team/api:v1", "team/*"}, quay, "team/api", false, true, []string{"v3"}, nil, "", ""},
		"another registry": {[]string{"ghcr.io/team/api"}, quay, "team/api", true, false, nil, []string{"v1"}, "", ""},
		"its registry":     {[]string{"quay.io/team/api:v1"}, "Quay.io", "team/api", false, false, []string{"v1"}, []string{"v2"}, "v1", "yes"},
		"Docker Hub":       {[]string{"registry-1.docker.io/busybox:1"}, "docker.io", "library/busybox", false, false, []string{"1"}, []string{"2"}, "1", "yes"},
		"official":         {[]string{"*:1"}, "index.docker.io", "library/busybox", false, false, []string{"1"}, nil, "1", "yes"},
		"not official":     {[]string{"*:1"}, "index.docker.io", "team/busybox", true, false, nil, []string{"1"}, "", ""},
		"the most":         {many, quay, "team/api", false, false, []string{"v0", "v63"}, []string{"v64"}, "", ""},
		"too many":         {append(many, "team/api"), quay, "team/api", false, true, []string{"v64"}, nil, "", ""},
		"what is none":     {[]string{"Team/API", "a:b:c"}, quay, "team/api", true, false, nil, []string{"v1"}, "", ""},
	} {
		tags := catalog.NewImages(c.images).Of(c.host, c.repo)
		if tags.None() != c.none || tags.Whole() != c.whole {
			t.Errorf("%s: none %v, whole %v", name, tags.None(), tags.Whole())
		}
		for _, tag := range c.has {
			if !tags.Has(tag) {
				t.Errorf("%s: it lacks %s", name, tag)
			}
		}
		for _, tag := range c.lacks {
			if tags.Has(tag) {
				t.Errorf("%s: it has %s", name, tag)
			}
		}
		fixed, settled := tags.Fixed()
		if got := fmt.Sprint(fixed); c.fixed != "" && (got != "["+c.fixed+"]" || settled != (c.settled != "")) {
			t.Errorf("%s: fixed are %s, %v", name, got, settled)
		}
	}
}

func TestRepositoriesOfARegistry(t *testing.T) {
	for host, opens := range map[string]map[string]bool{
		"quay.io":   {"team.x/api": true, "busybox": true, "library/busybox": false, "team/api": false},
		"docker.io": {"team.x/api": true, "library/busybox": true, "team/api": false},
	} {
		r := &catalog.Registry{Hostname: host, Repositories: catalog.NewRepositories([]string{"team.x/*", "busybox"})}
		for repository, want := range opens {
			if r.Opens(repository) != want {
				t.Errorf("%s of %s: open %v", repository, host, !want)
			}
		}
		if !(&catalog.Registry{Hostname: host}).Opens("any") {
			t.Errorf("without repositories, %s is closed", host)
		}
	}
}
