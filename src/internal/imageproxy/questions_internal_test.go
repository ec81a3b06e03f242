// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// FuzzEachTag compares lists that are read while they arrive with lists that are read as a whole.
func FuzzEachTag(f *testing.F) {
	for _, seed := range []string{
		`{"name":"a","tags":["v1","v2"]}`, `{"tags":null}`, `{}`, `{"TAGS":["x"],"other":{"tags":["y"]}}`, `{"tags":[1]}`, `[]`, `{"tags":["v1"`,
		`{"tags":["a"],"tags":["b"]}`, `{"tags":["\u0061"]} {"tags":["more"]}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var got []string
		err := eachTag(strings.NewReader(text), func(tag string) { got = append(got, tag) })
		var list struct{ Tags []string }
		var keys map[string]json.RawMessage
		if json.Unmarshal([]byte(text), &keys) != nil || keys == nil {
			return
		}
		read := json.Unmarshal([]byte(text), &list)
		if strings.Count(strings.ToLower(text), "tags") > 1 || strings.Contains(text, "\\") {
			return // of several the last counts there, and here all do
		}
		if slices.Contains(list.Tags, "") {
			return // a null is an empty text there, as it is here
		}
		if (read == nil) != (err == nil) || err == nil && !slices.Equal(got, list.Tags) {
			t.Errorf("%q: %q, %v; as a whole %q, %v", text, got, err, list.Tags, read)
		}
	})
}
