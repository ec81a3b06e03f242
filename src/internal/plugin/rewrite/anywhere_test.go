// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/rewrite"
)

// scatter makes objects with images at random places.
type scatter struct {
	*rand.Rand
	// placed are the private images, by object and pointer.
	placed map[string][]string
}

func (s *scatter) one(of ...string) string { return of[s.IntN(len(of))] }

// image is private, of a registry that a container has, too, or of another one.
func (s *scatter) image() string {
	version := s.one(":1", ":v1.2.3", "@"+digest, ":1@"+digest)
	return s.one("quay.io/o/", "quay.io/o/team/", "ghcr.io/x/", "registry.example.org:5000/") + s.one("api", "web-ui", "a.b", "db_x") + version
}

// text is a string with images in it, in one of the forms that rewrite knows, or in none.
func (s *scatter) text(at string) string {
	place := func() string {
		image := s.image()
		s.placed[at] = append(s.placed[at], image)
		return image
	}
	switch s.IntN(9) {
	case 0, 1, 2:
		return place()
	case 3:
		return "--" + s.one("x", "some-image", "y=z") + "=" + place()
	case 4:
		return place() + s.one(",", " ", "\n") + "a=" + place()
	case 5:
		return "# comment\nimage: " + place() + "\nlist: [\"" + place() + "\", 'x']\n"
	case 6:
		return `{"a": "` + place() + `", "b": 1}`
	case 7:
		return place() + "\n"
	default:
		return s.one("", "yes", "1e3", "0x1f", "2024-01-01", "null", "~", "https://quay.io/o/api", "a: b\n", "größe ☃", "tab\there", "o/x", "a\\nb", `"quoted"`, "- x\n- y\n\n")
	}
}

// value is a tree of random depth.
func (s *scatter) value(at string, depth int) any {
	switch kind := s.IntN(10); {
	case depth > 0 && kind < 3:
		mapping := map[string]any{}
		for range s.IntN(4) {
			key := s.one("image", "x", "config.yaml", "a/b", "spec", "template", "args", "url", "enabled", "a~b", "0", "[0]", "fooImage")
			if _, there := mapping[key]; there {
				continue
			}
			mapping[key] = s.value(at+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(key), depth-1)
		}
		return mapping
	case depth > 0 && kind < 5:
		list := make([]any, s.IntN(4))
		for i := range list {
			list[i] = s.value(fmt.Sprintf("%s/%d", at, i), depth-1)
		}
		return list
	case kind == 5:
		return []any{true, false, nil, 0, -1, 1 << 40, 1.5, 1e-7, map[string]any{}, []any{}}[s.IntN(10)]
	default:
		return s.text(at)
	}
}

func (s *scatter) object(i int) map[string]any {
	name := fmt.Sprintf("n%d", i)
	object := map[string]any{"apiVersion": "example.com/v1", "kind": s.one("Broker", "Rollout"), "metadata": map[string]any{"name": name}}
	at := func(rest string) string { return object["kind"].(string) + " " + name + rest }
	switch s.IntN(4) {
	case 0:
		object["apiVersion"], object["kind"] = "v1", "ConfigMap"
		object["data"] = map[string]any{"config.yaml": s.text(at("/data/config.yaml")), "IMAGE": s.text(at("/data/IMAGE"))}
	case 1:
		object["apiVersion"], object["kind"] = "apps/v1", "Deployment"
		container := at("/spec/template/spec/containers/0")
		object["spec"] = map[string]any{"template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{
			"name": "c", "image": "quay.io/o/operator:1", "args": []any{s.text(container + "/args/0"), s.text(container + "/args/1")},
			"env": []any{map[string]any{"name": s.one("X", "RELATED_IMAGE_X"), "value": s.text(container + "/env/0/value")}},
		}}}}}
	default:
		object["spec"] = map[string]any{
			"any": s.value(at("/spec/any"), 4), "image": s.text(at("/spec/image")),
			"template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": "c", "image": "quay.io/o/api:1", "x": s.value(at("/spec/template/spec/containers/0/x"), 2)}}}},
		}
	}
	return object
}

// differences are the strings that differ, by pointer. Anything else that differs fails the test, but for pull
// Secrets.
func differences(t *testing.T, at string, before, after any, found map[string][2]string) {
	t.Helper()
	switch was := before.(type) {
	case map[string]any:
		is, _ := after.(map[string]any)
		for key := range is {
			if _, there := was[key]; !there && key != "imagePullSecrets" {
				t.Errorf("%s has a new field %s", at, key)
			}
		}
		for key, value := range was {
			if _, there := is[key]; !there {
				t.Errorf("%s lacks the field %s", at, key)
			}
			differences(t, at+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(key), value, is[key], found)
		}
	case []any:
		is, _ := after.([]any)
		if len(is) != len(was) {
			t.Errorf("%s has %d elements, had %d", at, len(is), len(was))
			return
		}
		for i := range was {
			differences(t, fmt.Sprintf("%s/%d", at, i), was[i], is[i], found)
		}
	case string:
		is, _ := after.(string)
		found[at] = [2]string{was, is}
	default:
		if !reflect.DeepEqual(before, after) {
			t.Errorf("%s is %v, was %v", at, after, before)
		}
	}
}

func trees(t *testing.T, objects []*yaml.RNode) map[string]any {
	t.Helper()
	all := map[string]any{}
	for _, object := range objects {
		text, err := object.MarshalJSON()
		var tree any
		if err == nil {
			err = json.Unmarshal(text, &tree)
		}
		if err != nil {
			t.Fatal(err)
		}
		all[object.GetKind()+" "+object.GetName()] = tree
	}
	return all
}

// anywhere rewrites a random base. Every private image is renamed or named in a warning, and nothing else
// changes.
func anywhere(t *testing.T, seed uint64) {
	r := &scatter{rand.New(rand.NewPCG(seed, 0)), map[string][]string{}}
	var text strings.Builder
	for i := range 1 + r.IntN(6) {
		object, err := yaml.Marshal(r.object(i))
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString("---\n" + string(object))
	}
	s := newSite(t, operator(text.String()))
	s.plan.InText = r.IntN(2) == 0
	s.plan.Proxy.Aliases = map[string]string{"registry.example.org:5000": "own"}
	s.rewrite()
	base, err := new(rewrite.Stage).Build(t.Context(), s.root+"/base")
	if err != nil {
		t.Fatal(err)
	}
	before, after := trees(t, base), trees(t, s.build())
	found := map[string][2]string{}
	for name, tree := range before {
		differences(t, name, tree, after[name], found)
	}
	renamed := func(image string) string {
		if rest, is := strings.CutPrefix(image, "registry.example.org:5000/"); is {
			return through + "own/" + rest
		}
		return through + image
	}
	for at, pair := range found {
		want := pair[0]
		if strings.HasSuffix(at, "/containers/0/image") && !slices.Contains(r.placed[at], want) {
			want = renamed(want)
		} else {
			longest := slices.Clone(r.placed[at])
			slices.SortFunc(longest, func(a, b string) int { return len(b) - len(a) })
			var pairs []string
			for _, image := range longest {
				pairs = append(pairs, image, renamed(image))
			}
			want = strings.NewReplacer(pairs...).Replace(want)
		}
		switch {
		case pair[1] == want:
		case pair[1] != pair[0]:
			t.Errorf("%s is %q, was %q, want %q", at, pair[1], pair[0], want)
		default:
			for _, image := range r.placed[at] {
				object, _, _ := strings.Cut(at, "/")
				if !slices.ContainsFunc(s.plan.Warnings(), func(w string) bool {
					return strings.HasPrefix(w, object+": ") && strings.Contains(w, ": "+image+" stays: ")
				}) {
					t.Errorf("nothing is said of %s at %s (%q):", image, at, pair[0])
				}
			}
		}
	}
}

func TestImagesAnywhere(t *testing.T) {
	for seed := range uint64(30) {
		if anywhere(t, seed); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzImagesAnywhere(f *testing.F) {
	for seed := range uint64(10) {
		f.Add(seed)
	}
	f.Fuzz(anywhere)
}
