// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

func open(patterns ...string) catalog.Tags {
	return catalog.NewImages(patterns).Of("quay.io", "team/api")
}

func digestN(n int) string { return fmt.Sprintf("sha256:%064x", n) }

func TestAWordCountsForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, tags := newContents(), open("team/api:v1.*")
		i := item{kind: oci.Blob, digest: digestN(1)}
		leads := func() bool {
			_, ok := c.leads(i, tags, time.Now())
			return ok
		}
		c.add(witness{"v1.0", time.Now()}, i)
		time.Sleep(believed - time.Second)
		if !leads() {
			t.Error("it is closed within the hour")
		}
		time.Sleep(time.Second)
		if leads() {
			t.Error("it is open after the hour")
		}
		c.add(witness{"v2.0", time.Now()}, i)
		if leads() {
			t.Error("it is open by another's tag")
		}
		c.add(witness{"v1.1", time.Now()}, i)
		if !leads() {
			t.Error("it is closed after the registry has said so again")
		}
		// A vain search is not repeated, for the same tags alone.
		c.vain(i.place, tags, time.Now(), 0)
		if !c.isVain(i.place, tags, time.Now()) || c.isVain(i.place, open("team/api:v2"), time.Now()) {
			t.Error("whether a search was in vain is not what it should be")
		}
		time.Sleep(settled)
		if c.isVain(i.place, tags, time.Now()) {
			t.Error("a search in vain counts for longer than it should")
		}
		for took, counts := range map[time.Duration]time.Duration{4 * time.Second: 20 * time.Second, time.Minute: maxVain} {
			c.vain(i.place, tags, time.Now(), took)
			time.Sleep(counts - time.Second)
			if !c.isVain(i.place, tags, time.Now()) {
				t.Errorf("a search of %s is begun again at once", took)
			}
			time.Sleep(time.Second)
			if c.isVain(i.place, tags, time.Now()) {
				t.Errorf("a search of %s counts for too long", took)
			}
		}
	})
}

// TestMemoryOfContentsIsBounded however many repositories, tags and manifests there are.
func TestMemoryOfContentsIsBounded(t *testing.T) {
	c, now := newContents(), time.Now()
	for n := range 3 * maxRepositories {
		p := place{repository: fmt.Sprint(n)}
		for tag := range 3 * maxWitnesses {
			c.points(p, fmt.Sprint(tag), pointer{digestN(n), now})
			c.asked(p, fmt.Sprint(tag))
			c.add(witness{fmt.Sprint(tag), now}, item{p, oci.Manifest, digestN(n)})
		}
	}
	for n := range 5 * maxTags {
		c.points(place{}, fmt.Sprint(n), pointer{digestN(n), now})
		c.vain(place{}, open(fmt.Sprintf("team/api:%d", n)), now, 0)
	}
	large := manifest{blobs: make([]string, 1000)}
	for n := range 200 {
		c.keep(item{digest: digestN(n)}, large)
		c.keep(item{digest: digestN(n)}, large)
	}
	for n := range 2 * maxItems {
		c.add(witness{"t", now}, item{kind: oci.Blob, digest: digestN(n)})
	}
	held := 0
	for _, key := range c.manifests.Keys() {
		m, _ := c.manifests.Peek(key)
		held += m.size()
	}
	if held != c.digests || held > maxDigests || held < maxDigests/2 {
		t.Errorf("%d digests are held, and %d are counted", held, c.digests)
	}
	if n := c.places.Len(); n > maxRepositories {
		t.Errorf("%d repositories", n)
	}
	if n := c.found.Len(); n > maxItems {
		t.Errorf("%d items", n)
	}
	for _, key := range c.places.Keys() {
		known, _ := c.places.Peek(key)
		if len(known.pointers) > 2*maxTags || len(known.lately) > maxLately || len(known.vain) > maxTags {
			t.Errorf("%d tags, %d lately, %d in vain", len(known.pointers), len(known.lately), len(known.vain))
		}
	}
	for _, key := range c.found.Keys() {
		if all, _ := c.found.Peek(key); len(all) > maxWitnesses {
			t.Errorf("%d tags lead to one item", len(all))
		}
	}
}

func TestParseManifest(t *testing.T) {
	a, b, c := digestN(1), digestN(2), digestN(3)
	for body, want := range map[string]manifest{
		`{"manifests":[{"digest":"` + a + `"},{"digest":"` + b + `"},{"digest":"` + a + `"}]}`:                 {manifests: []string{a, b}},
		`{"config":{"digest":"` + a + `"},"layers":[{"digest":"` + b + `"}],"subject":{"digest":"` + c + `"}}`: {blobs: []string{a, b}, subject: c},
		`{"blobs":[{"digest":"` + a + `"}]}`:     {blobs: []string{a}},
		`{"fsLayers":[{"blobSum":"` + a + `"}]}`: {blobs: []string{a}},
		`{"layers":[{"digest":"../../x"},{}]}`:   {},
		`{"layers":{"digest":"` + a + `"}}`:      {},
		`{"subject":{"digest":"sha256:x"}}`:      {},
		`[]`:                                     {},
		`{"layers":[{"digest":"` + a + `"}]`:     {},
		`{"other":[{"digest":"` + a + `"}]}`:     {},
		`{"annotations":{"digest":"` + a + `"}}`: {},
		strings.Repeat("[", 100_000):             {},
	} {
		if diff := cmp.Diff(want, parseManifest([]byte(body)), cmp.AllowUnexported(manifest{})); diff != "" {
			t.Errorf("%.60s (-want +got):\n%s", body, diff)
		}
	}
}

func TestNewestFirst(t *testing.T) {
	for _, pair := range [][2]string{{"v1.9", "v1.10"}, {"v1.10", "v2.0"}, {"1", "2"}, {"v1", "v1.0"}, {"a", "b"}, {"99999999999999999999", "999999999999999999999"}, {"a1b", "a1c"}} {
		if naturally(pair[0], pair[1]) >= 0 || naturally(pair[1], pair[0]) <= 0 || naturally(pair[0], pair[0]) != 0 {
			t.Errorf("%s and %s: %d", pair[0], pair[1], naturally(pair[0], pair[1]))
		}
	}
}
