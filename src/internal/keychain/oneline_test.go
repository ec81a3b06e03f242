// SPDX-License-Identifier: Apache-2.0

package keychain_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
)

func TestText(t *testing.T) {
	tests := []struct{ name, give, want string }{
		{"empty", "", ""},
		{"first line that says something", "\n\n  refused\nbody\n", "refused"},
		{"control characters", "a\x1b[31mb\tc\x00", "a [31mb c"},
		{"query of a URL", `Get "https://sts.example.com/x?token=hunter2": refused`, `Get "https://sts.example.com/x": refused`},
		{"fragment of a URL", "see https://example.com/#secret now", "see https://example.com/ now"},
		{"not UTF-8", "a\xffb", "a\ufffdb"},
		{"long", strings.Repeat("é", 301), strings.Repeat("é", 300) + "…"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, keychain.Text(test.give)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestErrorDropsTheURL(t *testing.T) {
	err := fmt.Errorf("fetch: %w", &url.Error{Op: "Post", URL: "https://login.example.com/t?assertion=hunter2", Err: errors.New("refused")})
	if diff := cmp.Diff("login.example.com: refused", keychain.OneLineError(err)); diff != "" {
		t.Error(diff)
	}
}
