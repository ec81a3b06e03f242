// SPDX-License-Identifier: Apache-2.0

package imageproxy_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

// pages reads a list of tags by its links, and returns its pages.
func (w *world) pages(c *customer, path string) [][]string {
	w.t.Helper()
	var pages [][]string
	for len(pages) < 1000 {
		answer := w.Do("GET", path, c.basic()).Is(200)
		var list struct {
			Name string
			Tags []string
		}
		if err := json.Unmarshal(answer.Body, &list); err != nil || !strings.HasPrefix(path, "/v2/"+list.Name+"/") {
			w.t.Fatalf("%s, %v", answer.Body, err)
		}
		pages = append(pages, list.Tags)
		query, more := oci.NextLink(answer.Header)
		if !more {
			return pages
		}
		path, _, _ = strings.Cut(path, "?")
		path += "?" + query
	}
	w.t.Fatal("the pages have no end")
	return nil
}

// TestTagsListsHaveWhatIsOpen in pages that are full but for the last, and name nothing that is closed.
func TestTagsListsHaveWhatIsOpen(t *testing.T) {
	for _, kept := range []string{"", "mem://"} {
		w := newWorld(t, config{cache: kept})
		var want []string
		for i := range 2500 {
			tag := fmt.Sprintf("v%d.%d", i%5, i)
			w.quay.PutManifest("team/app", manifestType, []byte("{}"), tag)
			if i%5 == 3 {
				want = append(want, tag)
			}
		}
		slices.Sort(want)
		acme := w.sells("team/app:v3.*", "team/app:latest")
		for _, n := range []int{0, 1, 7, 250, 499, 500, 501, 5000} {
			path := app + "/tags/list"
			size := 1000
			if n > 0 {
				path, size = fmt.Sprintf("%s?n=%d", path, n), min(n, 1000)
			}
			if n == 1 { // each page is a look at the whole list
				path += "&last=" + want[490]
				if got := slices.Concat(w.pages(acme, path)...); !slices.Equal(got, want[491:]) {
					t.Errorf("behind %s: %q", want[490], got)
				}
				continue
			}
			pages := w.pages(acme, path)
			if got := slices.Concat(pages...); !slices.Equal(got, want) {
				t.Errorf("n=%d: %d tags, want %d", n, len(got), len(want))
			}
			for _, page := range pages[:len(pages)-1] {
				if len(page) != size {
					t.Errorf("n=%d: a page of %d", n, len(page))
				}
			}
			if len(pages) > 1 && len(pages[len(pages)-1]) == 0 {
				t.Errorf("n=%d: an empty page ends the list", n)
			}
		}
		w.Do("GET", app+"/tags/list?n=0", acme.basic()).Is(200).Says(`"tags":[]`).Lacks("Link")
		w.Do("GET", app+"/tags/list?last=w", acme.basic()).Is(200).Says(`"tags":[]`).Lacks("Link")
		w.Do("HEAD", app+"/tags/list?n=1", acme.basic()).Is(200).Has("Link", `<`+app+`/tags/list?last=v3.1003&n=1>; rel="next"`)
		if got := w.pages(w.sells("team/app:w*"), app+"/tags/list?n=5"); len(got) != 1 || len(got[0]) != 0 {
			t.Errorf("of none: %q", got)
		}
	}
}

// TestTagsListsOfRegistriesThatDeviate are as good, or fail; they never end early.
func TestTagsListsOfRegistriesThatDeviate(t *testing.T) {
	const path = "/v2/team/app/tags/list"
	for name, test := range map[string]struct {
		answers []string // with their links
		want    string   // in the answer
		status  int
	}{
		"no order":      {[]string{`{"tags":["v1.2","x","v1.1"]}`, ""}, `"tags":["v1.1","v1.2"]`, 200},
		"twice":         {[]string{`{"tags":["v1.2","v1.2"]}`, ""}, `"tags":["v1.2"]`, 200},
		"null":          {[]string{`{"name":"x","tags":null}`, ""}, `"tags":[]`, 200},
		"nothing":       {[]string{`{}`, ""}, `"tags":[]`, 200},
		"more in it":    {[]string{`{"child":[{"tags":["v1.9"]}],"manifest":{"a":{"tag":["v1.8"]}},"Tags":["v1.1"]}`, ""}, `"tags":["v1.1"]`, 200},
		"opaque links":  {[]string{`{"tags":["x"]}`, "?next_page=abc", `{"tags":[]}`, "?next_page=def", `{"tags":["v1.1"]}`, ""}, `"tags":["v1.1"]`, 200},
		"a circle":      {[]string{`{"tags":["x"]}`, "?next_page=abc", `{"tags":["v1.1"]}`, "?next_page=abc"}, "", 502},
		"no JSON":       {[]string{`{"tags":["v1.1"`, ""}, "", 502},
		"no list":       {[]string{`["v1.1"]`, ""}, "", 502},
		"tags no array": {[]string{`{"tags":"v1.1"}`, ""}, "", 502},
		"tags no texts": {[]string{`{"tags":[1]}`, ""}, "", 502},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, config{})
			for i := 0; i < len(test.answers); i += 2 {
				header := []string{"Content-Type", "application/json"}
				if link := test.answers[i+1]; link != "" {
					header = append(header, "Link", "<"+path+link+`>; rel="next"`)
				}
				w.quay.When("GET", path).Times(1).Answer(200, test.answers[i], header...)
			}
			w.Do("GET", app+"/tags/list", w.sells("team/app:v1.*").basic()).Is(test.status).Says(test.want).Hides("next_page")
		})
	}
	w := newWorld(t, config{})
	w.quay.When("GET", path).Answer(404, "")
	w.Do("GET", app+"/tags/list", w.sells("team/app:v1.*").basic()).Fails(404, oci.NameUnknown)
	w.network.Count(1, registrytest.Sent("GET", path))
}
