// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

func mapped(list string, discreet bool) (string, error) {
	content, err := io.ReadAll(newList(strings.NewReader(list), "ours", discreet))
	return string(content), err
}

func TestLists(t *testing.T) {
	for list, want := range map[string]string{
		`{"name":"theirs","tags":["a","b"]}`:            `{"name":"ours","tags":["a","b"]}`,
		` { "tags" : [ ] , "name" : "theirs" } ` + "\n": `{"tags":[],"name":"ours"}`,
		// What is missing is added (quirk D5).
		`{}`:                          `{"name":"ours","tags":[]}`,
		`{"name":"theirs"}`:           `{"name":"ours","tags":[]}`,
		`{"tags":null,"name":"t"}`:    `{"tags":[],"name":"ours"}`,
		`{"tags":["a"]}`:              `{"tags":["a"],"name":"ours"}`,
		`{"name":null,"tags":["a"]}`:  `{"name":"ours","tags":["a"]}`,
		`{"name":{"name":["x",{}]}}`:  `{"name":"ours","tags":[]}`,
		`{"name":"a","name":["b"]}`:   `{"name":"ours","name":"ours","tags":[]}`,
		`{"tags":["a"],"tags":null}`:  `{"tags":["a"],"tags":[],"name":"ours"}`,
		`{"tags":["a",null]}`:         `{"tags":["a",null],"name":"ours"}`,
		`{"NAME":"t","Tags":null}`:    `{"NAME":"ours","Tags":[]}`,
		`{"n\u0061me":"t","tags":[]}`: `{"name":"ours","tags":[]}`,
		// Escapes and letters stay what they mean.
		`{"tags":["\u0061\"\\\/\n","é\ud83d\ude00😀"]}`: `{"tags":["a\"\\/\n","é😀😀"],"name":"ours"}`,
		// Whatever else there is stays, in its order and with its numbers.
		`{"child":["x"],"tags":[],"manifest":{"sha256:1":{"name":"theirs","tags":null,"n":1e400,"big":12345678901234567890}},"x":true}`: `{"child":["x"],"tags":[],"manifest":{"sha256:1":{"name":"theirs","tags":null,"n":1e400,"big":12345678901234567890}},"x":true,"name":"ours"}`,
		`{"x":[[],{},[{"a":[]}]]}`: `{"x":[[],{},[{"a":[]}]],"name":"ours","tags":[]}`,
	} {
		if got, err := mapped(list, false); err != nil || got != want {
			t.Errorf("%s:\n%s (%v), want\n%s", list, got, err, want)
		}
	}
}

// TestADiscreetList has nothing but what a list of tags needs.
func TestADiscreetList(t *testing.T) {
	got, err := mapped(`{"child":["theirs"],"name":"theirs","x":{"y":["theirs",{}]},"z":1,"tags":["a"],"next":"theirs"}`, true)
	if want := `{"name":"ours","tags":["a"]}`; err != nil || got != want {
		t.Errorf("%s (%v), want %s", got, err, want)
	}
}

// TestWhatIsNoList ends with an error, and what was mapped before is no JSON: nobody takes it for all there is.
func TestWhatIsNoList(t *testing.T) {
	for _, list := range []string{
		``, ` `, `null`, `[]`, `"x"`, `1`, `{`, `}`, `{"name"`, `{"name":}`, `{"tags":["a"`, `{"tags":["a"]`, `{"tags":["a",]}`, `{"tags":["a" "b"]}`,
		`{"tags":["a"],}`, `{"tags":["a"]}{}`, `{"tags":["a"]}]`, `{"tags":["a"]} x`, `{"tags":["a"]]`, `{"tags":{}}`, `{"tags":"a"}`, `{"tags":1}`,
		`{"tags":[1]}`, `{"tags":[["a"]]}`, `{"tags":[{}]}`, `{"tags":[true]}`, `{tags:[]}`, `{"tags":['a']}`, `{"tags":["a]}`, `{"tags":["\x"]}`,
		`{"tags":["\u12"]}`, "{\"tags\":[\"a\nb\"]}", "\ufeff{}", `{"x":01}`, `{"x":tru}`, `{"name":"a" "b"}`, `{1:2}`, `{null:2}`, `{"a":1:2}`,
		`{"x":` + strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1) + `}`,
		`{"x":"` + strings.Repeat("y", 3*maxToken) + `"}`, `{"name":"` + strings.Repeat("y", 3*maxToken) + `"}`, strings.Repeat(" ", 3*maxToken) + `{}`,
	} {
		for _, discreet := range []bool{false, true} {
			got, err := mapped(list, discreet)
			if !errors.Is(err, errList) || json.Valid([]byte(got)) {
				t.Errorf("%.40s, discreet: %v: %.100s (%v)", list, discreet, got, err)
			}
		}
	}
}

// TestAListThatBreaksOff ends with the very error.
func TestAListThatBreaksOff(t *testing.T) {
	lost := errors.New("the line is cut")
	for _, begun := range []string{``, `{`, `{"name":"x`, `{"name":"x"}`, `{"name":"x","tags":["a"]}`} {
		_, err := io.ReadAll(newList(io.MultiReader(strings.NewReader(begun), iotest.ErrReader(lost)), "ours", false))
		if !errors.Is(err, lost) || errors.Is(err, errList) {
			t.Errorf("%s: %v", begun, err)
		}
	}
}

// TestListsOfAnySize are never in memory.
func TestListsOfAnySize(t *testing.T) {
	const tags = 200_000
	tag := `"` + strings.Repeat("t", 125) + `"`
	more := io.LimitReader(repeated(","+tag), int64(tags*(len(tag)+1)))
	in := io.MultiReader(strings.NewReader(`{"name":"theirs","tags":[`+tag), more, strings.NewReader("]}"))
	var before, most runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	out, buffer, total := newList(in, "ours", false), make([]byte, 64<<10), 0
	for i := 0; ; i++ {
		n, err := out.Read(buffer)
		total += n
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if i%100 == 0 {
			runtime.GC()
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			most.HeapAlloc = max(most.HeapAlloc, now.HeapAlloc)
		}
	}
	if want := len(`{"name":"ours","tags":[]}`) + tags*(len(tag)+1) + len(tag); total != want {
		t.Errorf("%d bytes, want %d", total, want)
	}
	if most.HeapAlloc > before.HeapAlloc+1<<20 {
		t.Errorf("a list of %d MiB takes %d KiB", total>>20, (most.HeapAlloc-before.HeapAlloc)>>10)
	}
}

// repeated is a text without end.
type repeated string

func (r repeated) Read(p []byte) (int, error) {
	n := 0
	for n+len(r) <= len(p) {
		n += copy(p[n:], r)
	}
	if n == 0 {
		return 0, io.ErrShortBuffer
	}
	return n, nil
}

// FuzzLists: encoding/json decides what a list is, and what is in it.
func FuzzLists(f *testing.F) {
	for _, seed := range []string{
		`{"name":"theirs","tags":["a","b"]}`, `{"tags":null}`, `{"x":{"y":[1,2.5e3,true,null]},"tags":["\ud800","😀","\u00e9"]}`, `{"tags":["a"]}x`,
		`{"NaMe":{"tags":[]},"TAGS":["a"],"tags":[]}`, `{"ſ":1,"K":2,"tagſ":["a"]}`, `{"tags":["` + "\xff" + `"]}`, `[[[`, `{"a":{}}`, `{"a":[{}],"b":[]}`,
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, list string, discreet bool) {
		got, err := mapped(list, discreet)
		var in, out map[string]any
		var tags, kept struct{ Tags []string }
		isList := json.Unmarshal([]byte(list), &in) == nil && in != nil && json.Unmarshal([]byte(list), &tags) == nil
		if err != nil {
			if json.Valid([]byte(got)) {
				t.Fatalf("%q became %q, which looks complete, in spite of %v", list, got, err)
			}
			// Every tags-like key has to be right here; encoding/json has the last one decide.
			if isList && strings.Count(strings.ToLower(list), "tag") < 2 && len(list) < maxDepth && !strings.ContainsAny(list, `\`) && !strings.Contains(list, "ſ") {
				t.Fatalf("%q is a list: %v", list, err)
			}
			return
		}
		if !isList {
			t.Fatalf("%q is no list, and became %q", list, got)
		}
		if err := json.Unmarshal([]byte(got), &out); err != nil {
			t.Fatalf("%q became %q: %v", list, got, err)
		}
		if err := json.Unmarshal([]byte(got), &kept); err != nil || len(tags.Tags) > 0 && !reflect.DeepEqual(tags, kept) || len(kept.Tags) != len(tags.Tags) {
			t.Fatalf("%q became %q: %v", list, got, err)
		}
		ours := func(key string, value any) bool {
			if strings.EqualFold(key, "name") && value != "ours" {
				t.Fatalf("%q became %q", list, got)
			}
			return strings.EqualFold(key, "name") || strings.EqualFold(key, "tags")
		}
		maps.DeleteFunc(out, ours)
		maps.DeleteFunc(in, func(key string, _ any) bool {
			return discreet || strings.EqualFold(key, "name") || strings.EqualFold(key, "tags")
		})
		if !reflect.DeepEqual(in, out) {
			t.Fatalf("%q became %q", list, got)
		}
	})
}
