// SPDX-License-Identifier: Apache-2.0

package imageproxy_test

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keyfile"
)

func keys(t testing.TB, lines ...[]byte) *imageproxy.TokenKeys {
	t.Helper()
	k, err := imageproxy.ParseTokenKeys("keys", slices.Concat(lines...))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func credential() [sha256.Size]byte { return sha256.Sum256([]byte("id")) }

func issue(t testing.TB, o *imageproxy.Issuer) string {
	t.Helper()
	token, _, err := o.Issue(credential(), []string{"proxy/app/quay.io/team/api", "proxy/app/localhost:5000/x"})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestATokenIsWhatWasIssued(t *testing.T) {
	now := time.Date(2027, 1, 2, 3, 4, 5, 6, time.UTC)
	o := imageproxy.NewIssuer(keys(t, keyfile.Generate()), func() time.Time { return now })
	got, err := o.Check(issue(t, o))
	got.Issued = got.Issued.UTC()
	want := imageproxy.Token{
		Credential: credential(), Repositories: []string{"proxy/app/quay.io/team/api", "proxy/app/localhost:5000/x"}, Issued: now.Truncate(time.Second),
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestATokenExpires(t *testing.T) {
	now := time.Now()
	o := imageproxy.NewIssuer(keys(t, keyfile.Generate()), func() time.Time { return now })
	token := issue(t, o)
	now = now.Add(imageproxy.TokenLifetime - 2*time.Second)
	if _, err := o.Check(token); err != nil {
		t.Errorf("before its time is over: %v", err)
	}
	now = now.Add(2 * time.Second)
	if _, err := o.Check(token); !errors.Is(err, imageproxy.ErrTokenExpired) {
		t.Errorf("once its time is over: %v", err)
	}
}

// TestKeysRotate: the first signs, all check.
func TestKeysRotate(t *testing.T) {
	older, newer := keyfile.Generate(), keyfile.Generate()
	o := imageproxy.NewIssuer(keys(t, older), time.Now)
	before := issue(t, o)
	o.Replace(keys(t, newer, older))
	after := issue(t, o)
	for _, token := range []string{before, after} {
		if _, err := o.Check(token); err != nil {
			t.Errorf("while both keys are listed: %v", err)
		}
	}
	o.Replace(keys(t, newer))
	if _, err := o.Check(before); !errors.Is(err, imageproxy.ErrInvalid) {
		t.Errorf("a token of the key that is gone: %v", err)
	}
	if _, err := o.Check(after); err != nil {
		t.Errorf("a token of the key that stays: %v", err)
	}
}

// TestTampering: whatever is done to a token, it is none any more.
func TestTampering(t *testing.T) {
	file := keyfile.Generate()
	o := imageproxy.NewIssuer(keys(t, file), time.Now)
	token := issue(t, o)
	parts := strings.Split(token, ".")
	raw, err := keyfile.Parse("keys", file)
	if err != nil {
		t.Fatal(err)
	}
	derived, err := hkdf.Key(sha256.New, raw[0], nil, "local-source-proxy image-proxy tokens v1", sha256.Size)
	if err != nil {
		t.Fatal(err)
	}
	// forge signs claims with the issuer's own key, which nobody has: what is left to go wrong is what they
	// say.
	forge := func(method jwt.SigningMethod, key any, change func(jwt.MapClaims)) string {
		c := jwt.MapClaims{}
		content, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(content, &c); err != nil {
			t.Fatal(err)
		}
		change(c)
		forged, err := jwt.NewWithClaims(method, c).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return forged
	}
	same := func(jwt.MapClaims) {}
	if _, err := o.Check(forge(jwt.SigningMethodHS256, derived, same)); err != nil {
		t.Fatalf("the test cannot forge: %v", err)
	}
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for name, forged := range map[string]string{
		"nothing":                "",
		"no token":               "license-id",
		"no signature":           parts[0] + "." + parts[1] + ".",
		"algorithm none":         forge(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, same),
		"another algorithm":      forge(jwt.SigningMethodHS512, derived, same),
		"another key":            forge(jwt.SigningMethodHS256, []byte("another key"), same),
		"the key underived":      forge(jwt.SigningMethodHS256, raw[0], same),
		"an empty key":           forge(jwt.SigningMethodHS256, []byte{}, same),
		"another's claims":       parts[0] + "." + encode(`{"iss":"local-source-proxy","aud":["image-proxy"],"exp":99999999999,"sub":"`+strings.Repeat("0", 64)+`"}`) + "." + parts[2],
		"a changed header":       encode(`{"alg":"HS256","typ":"JWT","kid":"../../dev/null"}`) + "." + parts[1] + "." + parts[2],
		"a fourth part":          token + ".x",
		"padding":                token + "=",
		"other last bits":        token[:len(token)-1] + string(rune(token[len(token)-1])+1),
		"a space":                " " + token,
		"without expiry":         forge(jwt.SigningMethodHS256, derived, func(c jwt.MapClaims) { delete(c, "exp") }),
		"another audience":       forge(jwt.SigningMethodHS256, derived, func(c jwt.MapClaims) { c["aud"] = "source" }),
		"another issuer":         forge(jwt.SigningMethodHS256, derived, func(c jwt.MapClaims) { c["iss"] = "somebody" }),
		"no credential":          forge(jwt.SigningMethodHS256, derived, func(c jwt.MapClaims) { delete(c, "sub") }),
		"a short credential":     forge(jwt.SigningMethodHS256, derived, func(c jwt.MapClaims) { c["sub"] = "00" }),
		"a long credential":      forge(jwt.SigningMethodHS256, derived, func(c jwt.MapClaims) { c["sub"] = strings.Repeat("0", 66) }),
		"a credential in no hex": forge(jwt.SigningMethodHS256, derived, func(c jwt.MapClaims) { c["sub"] = strings.Repeat("x", 64) }),
	} {
		if got, err := o.Check(forged); !errors.Is(err, imageproxy.ErrInvalid) || len(got.Repositories) > 0 || got.Credential != [sha256.Size]byte{} {
			t.Errorf("%s: %+v, %v; want nothing and ErrInvalid", name, got, err)
		}
	}
	for i := range token {
		changed := []byte(token)
		changed[i] ^= 1
		if _, err := o.Check(string(changed)); err == nil {
			t.Errorf("with byte %d changed it is still a token", i)
		}
	}
}

func TestParseKeys(t *testing.T) {
	if _, err := imageproxy.ParseTokenKeys("keys", []byte("no key")); err == nil || !strings.HasPrefix(err.Error(), "keys: line 1") {
		t.Errorf("the error is %v", err)
	}
}

func FuzzCheck(f *testing.F) {
	o := imageproxy.NewIssuer(keys(f, keyfile.Generate()), time.Now)
	token := issue(f, o)
	f.Add(token)
	f.Add(token[1:])
	f.Add("..")
	f.Fuzz(func(t *testing.T, other string) {
		if _, err := o.Check(other); err == nil && other != token {
			t.Errorf("%q passes, which nobody issued", other)
		}
	})
}
