// SPDX-License-Identifier: Apache-2.0

package store

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
)

// sketch makes objects of lines such as "a: one two", a license with these ids, "q = quay.io team", a
// registry with that host name and alias, "a!", an object that is not valid, and "a!!", one that is besides
// revoked.
func sketch(lines ...string) []*object {
	var all []*object
	for _, line := range lines {
		o := &object{id: id{kind: v1alpha1.LicenseKind}}
		switch {
		case strings.HasSuffix(line, "!"):
			o.name, o.problem, o.revoked = strings.TrimRight(line, "!"), "is not valid", strings.HasSuffix(line, "!!")
		case strings.Contains(line, "="):
			name, names, _ := strings.Cut(line, " = ")
			host, alias, _ := strings.Cut(names, " ")
			o.id = id{kind: v1alpha1.RegistryKind, name: name}
			o.registry = &registry{spec: v1alpha1.ExternalRegistrySpec{Hostname: host, Alias: alias}}
		default:
			name, ids, _ := strings.Cut(line, ":")
			o.name, o.license = name, &license{}
			l := &catalog.License{Name: name}
			for each := range strings.FieldsSeq(ids) {
				hash := sha256.Sum256([]byte(each))
				o.license.credentials = append(o.license.credentials, &catalog.Credential{License: l, Name: each, Hash: hash})
			}
		}
		all = append(all, o)
	}
	return all
}

// inForceOf returns what a decision says of each object, as "name version verdict", where the version is that
// of the first reading, the second and so on.
func inForceOf(d decision, order []*object, versions map[version]string) []string {
	var all []string
	for _, o := range order {
		s := d.standings[o.id]
		text := o.name + " " + versions[s.force]
		if s.revoked {
			text += " revoked"
		}
		all = append(all, text+" "+s.verdict.reason)
	}
	return all
}

// TestResolve reads objects several times, and says what is in force after the last time.
func TestResolve(t *testing.T) {
	for name, test := range map[string]struct {
		readings [][]string
		want     []string
	}{
		"the first counts": {[][]string{{"a: one", "b: one"}}, []string{"a 1 InForce", "b - Contradiction"}},
		"a newcomer before it": {[][]string{{"b: one"}, {"a: one", "b: one"}},
			[]string{"a - Contradiction", "b 1 InForce"}},
		"a registry before it": {[][]string{{"b = quay.io q"}, {"a = ghcr.io q", "b = quay.io q"}},
			[]string{"a - Contradiction", "b 1 InForce"}},
		"a newcomer when it has gone": {[][]string{{"b: one"}, {"a: one", "b: one"}, {"a: one"}}, []string{"a 2 InForce"}},
		"an edit before it": {[][]string{{"a: one", "b: two"}, {"a: two", "b: two"}},
			[]string{"a 1 Contradiction", "b 1 InForce"}},
		"an edit, and a newcomer that takes what it had": {[][]string{{"a: one", "b: two"}, {"c: one", "a: two", "b: two"}},
			[]string{"c - Contradiction", "a 1 Contradiction", "b 1 InForce"}},
		"an exchange": {[][]string{{"a: one", "b: two"}, {"a: two", "b: one"}}, []string{"a 2 InForce", "b 2 InForce"}},
		"an exchange in two steps": {
			[][]string{{"a = quay.io x", "b = ghcr.io y"}, {"a = quay.io y", "b = ghcr.io y"}, {"a = quay.io y", "b = ghcr.io x"}},
			[]string{"a 2 InForce", "b 3 InForce"}},
		"a row that finds no room": {[][]string{{"a: one", "b: two", "c: three"}, {"a: two", "b: three", "c: three"}},
			[]string{"a 1 Contradiction", "b 1 Contradiction", "c 1 InForce"}},
		"never valid":               {[][]string{{"a!"}}, []string{"a - Invalid"}},
		"no longer valid":           {[][]string{{"a: one"}, {"a!"}}, []string{"a 1 Invalid"}},
		"revoked by a wrong edit":   {[][]string{{"a: one"}, {"a!!"}}, []string{"a 1 revoked Invalid"}},
		"a wrong edit of a revoked": {[][]string{{"a: one"}, {"a!!"}, {"a!"}}, []string{"a 1 revoked Invalid"}},
		"in force again":            {[][]string{{"a: one"}, {"a!!"}, {"a: one"}}, []string{"a 3 InForce"}},
		"gone and back":             {[][]string{{"a: one"}, {}, {"a!"}}, []string{"a - Invalid"}},
	} {
		t.Run(name, func(t *testing.T) {
			versions := map[version]string{{}: "-"}
			var now decision
			var order []*object
			last := map[id]string{}
			for i, lines := range test.readings {
				read := sketch(lines...)
				for j, o := range read {
					// What has not been edited is the same object.
					at := slices.IndexFunc(order, func(before *object) bool { return before.id == o.id })
					if at >= 0 && last[o.id] == lines[j] {
						read[j] = order[at]
					} else if !o.empty() {
						versions[o.version] = fmt.Sprint(i + 1)
					}
					last[o.id] = lines[j]
				}
				now, order = resolve(read, now.standings, nil, time.Now()), read
			}
			if diff := cmp.Diff(test.want, inForceOf(now, order, versions)); diff != "" {
				t.Errorf("in force (-want +got):\n%s", diff)
			}
		})
	}
}

// TestWhatIsInForceStaysWhateverComes tries random edits, with another way to see whether objects contradict
// each other.
func TestWhatIsInForceStaysWhateverComes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var now decision
		for range 8 {
			var lines []string
			for _, name := range []string{"a", "b", "c", "d", "e"} {
				switch random.IntN(8) {
				case 0: // not there
				case 1:
					lines = append(lines, name+"!")
				default:
					lines = append(lines, fmt.Sprintf("%s: %d %d", name, random.IntN(6), 10+random.IntN(6)))
				}
			}
			random.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
			before, read := now, sketch(lines...)
			now = resolve(read, before.standings, nil, time.Now())
			holders := map[[sha256.Size]byte]string{}
			for _, o := range read {
				for _, hash := range hashes(now.standings[o.id].force) {
					if holders[hash] != "" {
						t.Fatalf("%s and %s have the same id, of %q", holders[hash], o.name, lines)
					}
					holders[hash] = o.name
					if found, ok := now.catalog.ByHash(hash); !ok || found.License.Name != o.name {
						t.Fatalf("%s is not in the catalog, of %q", o.name, lines)
					}
				}
			}
			taken := func(h [sha256.Size]byte) bool { return holders[h] != "" }
			for _, o := range read {
				s, was := now.standings[o.id], before.standings[o.id]
				switch {
				case was != nil && !was.force.empty() && s.force.empty():
					t.Fatalf("%s was in force, and is not, of %q", o.name, lines)
				case was != nil && s.force != was.force && s.force != o.version:
					t.Fatalf("%s says neither what it did nor what it does, of %q", o.name, lines)
				case s.force.empty() && !o.empty() && !slices.ContainsFunc(hashes(o.version), taken):
					t.Fatalf("nothing keeps %s out, of %q", o.name, lines)
				case (s.verdict.message == "") != (s.force == o.version && !o.empty()):
					t.Fatalf("%s is said to be %q, of %q", o.name, s.verdict, lines)
				}
			}
		}
	}
}

func hashes(v version) [][sha256.Size]byte {
	var all [][sha256.Size]byte
	if v.license != nil {
		for _, each := range v.license.credentials {
			all = append(all, each.Hash)
		}
	}
	return all
}
