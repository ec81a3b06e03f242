// SPDX-License-Identifier: Apache-2.0

package support

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Redacted stands where something was taken out.
const Redacted = "[REDACTED]"

// minSecret is the length from which a known secret is taken out. Shorter ones are in every word.
const minSecret = 4

// Redactor takes secrets out of texts.
type Redactor struct {
	known    map[string]bool
	hashes   map[string]bool
	replacer *strings.Replacer
}

// KnowHash adds a secret of which only the SHA-256 is known, in hex. The cluster has no more of a license's
// id.
func (r *Redactor) KnowHash(hash string) {
	if r.hashes == nil {
		r.hashes = map[string]bool{}
	}
	r.hashes[strings.ToLower(hash)] = true
}

// Know adds a secret, in each form in which a text may have it. Its lines count one by one as well, and so do
// the strings of JSON in it, such as the passwords of a docker config.
func (r *Redactor) Know(secret string) {
	if r.known == nil {
		r.known = map[string]bool{}
	}
	r.replacer = nil
	secret = strings.TrimSpace(secret)
	r.add(secret)
	for line := range strings.SplitSeq(secret, "\n") {
		r.add(strings.TrimSpace(line))
	}
	var content any
	if json.Unmarshal([]byte(secret), &content) == nil {
		r.knowJSON(content)
	}
}

func (r *Redactor) knowJSON(content any) {
	switch content := content.(type) {
	case map[string]any:
		for key, below := range content {
			if key == "username" || key == "email" { // words, which other texts have as well
				continue
			}
			r.knowJSON(below)
		}
	case []any:
		for _, below := range content {
			r.knowJSON(below)
		}
	case string:
		r.add(content)
		if decoded, err := base64.StdEncoding.DecodeString(content); err == nil { // "auth" of a docker config
			_, password, _ := strings.Cut(string(decoded), ":")
			r.add(password)
		}
	}
}

func (r *Redactor) add(secret string) {
	if len(secret) < minSecret {
		return
	}
	quoted, _ := json.Marshal(secret) // a string has a JSON form
	for _, form := range []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret), strings.Trim(string(quoted), `"`),
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawStdEncoding.EncodeToString([]byte(secret)),
		base64.URLEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
	} {
		r.known[form] = true
	}
}

// Text returns the text without secrets.
func (r *Redactor) Text(text string) string {
	if r.replacer == nil {
		// The longest first: a secret may be a part of another.
		forms := slices.SortedFunc(keys(r.known), func(a, b string) int { return len(b) - len(a) })
		pairs := make([]string, 0, 2*len(forms))
		for _, form := range forms {
			pairs = append(pairs, form, Redacted)
		}
		r.replacer = strings.NewReplacer(pairs...)
	}
	text = r.replacer.Replace(text)
	if len(r.hashes) > 0 {
		text = regexp.MustCompile(`[^\s"'\x60,;&=:/@\\()\[\]{}<>]{8,}=*`).ReplaceAllStringFunc(text, r.word)
	}
	for _, p := range patterns() {
		text = p.form.ReplaceAllString(text, p.by)
	}
	return text
}

// word takes out what has a known hash, as it stands, in base64, and in base64 behind a user's name.
func (r *Redactor) word(word string) string {
	plain, err := url.QueryUnescape(word)
	if err != nil {
		plain = word
	}
	bare := strings.TrimRight(plain, "=")
	candidates := []string{word, plain, bare}
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if decoded, err := encoding.DecodeString(bare); err == nil {
			_, password, _ := strings.Cut(string(decoded), ":")
			candidates = append(candidates, string(decoded), password)
		}
	}
	for _, candidate := range candidates {
		if hash := sha256.Sum256([]byte(candidate)); r.hashes[hex.EncodeToString(hash[:])] {
			return Redacted
		}
	}
	return word
}

func keys(m map[string]bool) func(func(string) bool) {
	return func(yield func(string) bool) {
		for key := range m {
			if !yield(key) {
				return
			}
		}
	}
}

type pattern struct {
	form *regexp.Regexp
	by   string
}

// patterns are the forms that credentials have.
func patterns() []pattern {
	const name = `(?i:[\w.-]*(?:password|passwd|secret|token|apikey|api_key|access_key|accesskey|private_key|` +
		`credential|signature|authorization|cookie|license_?id|identitytoken|_state)[\w.-]*)`
	return []pattern{
		{regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*KEY-----|$)`), Redacted},
		{regexp.MustCompile(`\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)?`), Redacted}, // JSON web tokens
		{regexp.MustCompile(`(?i)\b(bearer|basic)(\s+)[\w.~+/=-]{8,}`), "${1}${2}" + Redacted},
		{regexp.MustCompile(`(://)[^/\s@"']+@`), "${1}" + Redacted + "@"},
		{regexp.MustCompile(`\b(?:AKIA|ASIA)[A-Z0-9]{16}\b`), Redacted}, // Amazon
		{regexp.MustCompile(`\b(?:gh[pousr]|glpat|dckr_pat|xox[abp])[-_][\w-]{10,}`), Redacted},
		// name=value in queries and flags, "name": "value" in JSON and YAML.
		{regexp.MustCompile(`(?m)((?:^|[?&\s"'])` + name + `=)[^&\s"'` + "`" + `]+`), "${1}" + Redacted},
		{regexp.MustCompile(`("` + name + `"\s*:\s*")(?:[^"\\]|\\.)+`), "${1}" + Redacted},
		{regexp.MustCompile(`(\\"` + name + `\\"\s*:\s*\\")(?:[^"\\]|\\[^"])+`), "${1}" + Redacted}, // JSON in JSON
		// YAML and headers; a value of several words without quotes is a sentence.
		{regexp.MustCompile(`(?m)((?:^|[\s,{])` + name + `:[ \t]+)(?:'[^'\n]*'|"[^"\n]*"|[^\s{\["']+)([ \t,}\r]*)$`), "${1}" + Redacted + "${2}"},
		// Upload sessions: their bearer continues the upload.
		{regexp.MustCompile(`(/blobs/uploads/)[^\s"'?]+`), "${1}" + Redacted},
		{regexp.MustCompile(`\b[A-Za-z0-9+/_-]{40,}={1,2}`), Redacted}, // keys in base64
	}
}
