// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestScopesThatAreLookedAt(t *testing.T) {
	asked := field("service=x&scope=a+b&%73cope=c%20d&scopes=no&scope&x=scope", "scope")
	if got := words(asked); !slices.Equal(got, []string{"a", "b", "c", "d"}) {
		t.Errorf("%q", got)
	}
	if got := words([]string{strings.Repeat("a ", 60), strings.Repeat("b ", 60)}); len(got) != maxAsked || got[maxAsked-1] != "b" {
		t.Errorf("%d are looked at", len(got))
	}
}

// FuzzField: net/url decides what is in a form.
func FuzzField(f *testing.F) {
	f.Add("grant_type=password&password=a%2Bb&scope=x&scope=y")
	f.Add("gr%61nt_type=x&&=&a")
	f.Add("scope=%zz&scope=1&+=2")
	f.Fuzz(func(t *testing.T, form string) {
		want, err := url.ParseQuery(form)
		if err != nil {
			return
		}
		for _, name := range []string{"grant_type", "password", "scope"} {
			if got := field(form, name); !slices.Equal(got, want[name]) {
				t.Errorf("%q of %q: %q, want %q", name, form, got, want[name])
			}
		}
	})
}

// BenchmarkForm is a form with as many fields as fit, of a client without a license.
func BenchmarkForm(b *testing.B) {
	var form strings.Builder
	for i := 0; form.Len() < maxForm; i++ {
		fmt.Fprintf(&form, "%x&", i)
	}
	for b.Loop() {
		field(form.String(), "grant_type")
		field(form.String(), "password")
	}
}
