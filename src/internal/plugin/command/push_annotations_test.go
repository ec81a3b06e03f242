// SPDX-License-Identifier: Apache-2.0

package command

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAnnotationKeys are checked by the rules of OCI image-spec 1.1, annotations.md: unique, strings, and nothing
// under the reserved prefix that the specification does not define.
func TestAnnotationKeys(t *testing.T) {
	w := newWorld(t)
	dryRun := []string{"push", "--name", "web", "--local-path", w.tree, "--dry-run", "-o", "json"}
	for _, test := range []struct {
		annotations []string
		want        string // part of the error; empty: none
	}{
		{[]string{"com.example.myKey=x", "short=x", "org.example.a/b=x", "com.example.empty="}, ""},
		{[]string{"org.opencontainers.image.created=2026-01-01T00:00:00Z", "org.opencontainers.image.ref.name=v1"}, ""},
		{[]string{"org.opencontainers.image.base.digest=x", "org.opencontainers.image.licenses=Apache-2.0"}, ""},
		{[]string{"org.opencontainersx.image.foo=x", "com.org.opencontainers.image.foo=x"}, ""},
		{[]string{"com.example.ä=ö"}, ""},
		{[]string{"a=x", "a=x"}, ""}, // says the same
		{[]string{"a=x", "b=x", "a=y"}, `--annotation "a=y": a has another value already: name each once`},
		{[]string{"org.opencontainers.image.reversion=x"}, "OCI does not define org.opencontainers.image.reversion"},
		{[]string{"org.opencontainers.image=x"}, "OCI does not define org.opencontainers.image"},
		{[]string{"org.opencontainers.foo=x"}, "the prefix org.opencontainers is reserved for it"},
		{[]string{"org.opencontainers=x"}, "the prefix org.opencontainers is reserved"},
		{[]string{"a\nb=x"}, "without blanks"},
		{[]string{" a=x"}, "without blanks"},
		{[]string{"a b=x"}, "without blanks"},
		{[]string{"a\u00a0b=x"}, "without blanks"},
		{[]string{"a\xffb=x"}, "UTF-8"},
		{[]string{"a=\xff"}, "UTF-8"},
	} {
		args := dryRun
		want := map[string]string{}
		for _, each := range test.annotations {
			args = append(args, "--annotation", each)
			name, value, _ := strings.Cut(each, "=")
			want[name] = value
		}
		out := w.run(args...)
		if test.want != "" {
			out.want(t, 2, "", test.want)
			continue
		}
		var got unsent
		if err := json.Unmarshal([]byte(out.out), &got); err != nil || out.code != 0 {
			t.Errorf("%q: %v: %+v", test.annotations, err, out)
			continue
		}
		if diff := cmp.Diff(want, got.Annotations); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.annotations, diff)
		}
	}
}
