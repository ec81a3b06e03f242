// SPDX-License-Identifier: Apache-2.0

package support_test

import (
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/support"
)

// TestRedactsForms: what is not known is taken out by its form. What only looks like it stays: a bundle
// without request ids, digests and times is of no use.
func TestRedactsForms(t *testing.T) {
	const s = "hunter2hunter2"
	r := &support.Redactor{}
	for _, text := range []string{
		"Authorization: Bearer " + s, "authorization: basic " + s + "=", "password=" + s, "?a=b&token=" + s + "&c=d", `{"password":"` + s + `"}`,
		`{\"identitytoken\":\"` + s + `\"}`, "https://me:" + s + "@registry.example.com/v2/", "X-Amz-Signature=no&X-Amz-Security-Token=" + s,
		"-----BEGIN EC PRIVATE KEY-----\n" + s + "\n-----END EC PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\n" + s,
		"/v2/source/blobs/uploads/" + s, `"client_secret": "a` + s + `"`, " --registry-password=" + s, "ghp_" + s,
		"password: " + s, "data:\n  token: '" + s + "'\n", `secret: "two words ` + s + `"`, "https://" + s + "@registry.example.com/x", "Cookie: session=" + s,
		`{"password":"ab\"` + s + `"}`,
	} {
		if got := r.Text(text); strings.Contains(got, s) || !strings.Contains(got, support.Redacted) {
			t.Errorf("%q became %q", text, got)
		}
	}
	for _, text := range []string{
		`{"time":"2026-11-28T07:10:34.23Z","level":"INFO","msg":"request","id":"FRPCS3RVRAOCAJ54T36IEU5ISR","operation":"blob-head"}`,
		"sha256:5e26263fdfc16dd4df22a445431468250801b6475440061a44e39038ee230fe8", "registry.example.com/team/source:dev-web",
		"the token server of the registry refused the credential", "secrets: you may not read this: it is forbidden", "https://registry.example.com:5000/v2/", `lsp_requests_total{door="source"} 7`,
	} {
		if got := r.Text(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

// FuzzRedactsWhatIsKnown: a known secret is in no output, whatever stands around it.
func FuzzRedactsWhatIsKnown(f *testing.F) {
	f.Add("secret", "before ", " after")
	f.Add("a\"b\\c", "{\"x\": \"", "\"}")
	f.Add("REDACTED!", "[", "]")
	f.Fuzz(func(t *testing.T, secret, before, after string) {
		secret = strings.TrimSpace(secret)
		if len(secret) < 4 || strings.Contains(support.Redacted, secret) || strings.ContainsAny(secret, "\n\r") {
			return
		}
		r := &support.Redactor{}
		r.Know(secret)
		got := strings.ReplaceAll(r.Text(before+secret+after), support.Redacted, "\x00\x00")
		if strings.Contains(got, secret) {
			t.Errorf("Text(%q) = %q", before+secret+after, got)
		}
	})
}
