// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keyfile"
	"github.com/local-source-proxy/local-source-proxy/src/internal/session"
)

func keys(t *testing.T, lines ...[]byte) *session.Keys {
	t.Helper()
	var file []byte
	for _, line := range lines {
		file = append(file, line...)
	}
	k, err := session.ParseKeys("keys", file)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func record() session.Record {
	return session.Record{
		Registry:   "registry.test",
		Repository: "team/source",
		Location:   "/v2/team/source/blobs/uploads/1?_state=a%2Fb==&x",
		Offset:     42,
		RangeWrong: true,
	}
}

func owner() session.Owner { return session.Owner{Side: "source", Name: "source"} }

func seal(t *testing.T, s *session.Sealer) string {
	t.Helper()
	token, err := s.Seal(owner(), record())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestAnyReplicaWithTheKeyOpens(t *testing.T) {
	key := keyfile.Generate()
	token := seal(t, session.NewSealer(keys(t, key), time.Now))
	if strings.ContainsAny(token, "/+=?%&") {
		t.Errorf("token %q is not one clean path segment", token)
	}
	got, err := session.NewSealer(keys(t, key), time.Now).Open(owner(), token)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(record(), got, cmpopts.IgnoreFields(session.Record{}, "Issued")); diff != "" {
		t.Errorf("record changed on the way (-want +got):\n%s", diff)
	}
}

func TestKeysRotate(t *testing.T) {
	older, newer := keyfile.Generate(), keyfile.Generate()
	s := session.NewSealer(keys(t, older), time.Now)
	before := seal(t, s)
	s.Replace(keys(t, newer, older))
	after := seal(t, s)
	for name, token := range map[string]string{"older": before, "newer": after} {
		if _, err := s.Open(owner(), token); err != nil {
			t.Errorf("token of the %s key: %v", name, err)
		}
	}
	s.Replace(keys(t, newer))
	if _, err := s.Open(owner(), before); !errors.Is(err, session.ErrUnknown) {
		t.Errorf("token of a key that is gone: %v, want ErrUnknown", err)
	}
	if _, err := s.Open(owner(), after); err != nil {
		t.Errorf("the first key did not seal: %v", err)
	}
}

func TestNothingElseOpens(t *testing.T) {
	now := time.Now()
	key := keyfile.Generate()
	s := session.NewSealer(keys(t, key), func() time.Time { return now })
	token := seal(t, s)
	sealed, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	sealed[len(sealed)/2] ^= 1
	later := session.NewSealer(keys(t, key), func() time.Time { return now.Add(session.Lifetime + time.Minute) })
	for name, open := range map[string]func() (session.Record, error){
		"tampered":     func() (session.Record, error) { return s.Open(owner(), base64.RawURLEncoding.EncodeToString(sealed)) },
		"truncated":    func() (session.Record, error) { return s.Open(owner(), token[:len(token)-4]) },
		"one byte":     func() (session.Record, error) { return s.Open(owner(), "AA") },
		"padded":       func() (session.Record, error) { return s.Open(owner(), token+"=") },
		"no base64url": func() (session.Record, error) { return s.Open(owner(), "a b") },
		"foreign name": func() (session.Record, error) { return s.Open(session.Owner{Side: "source", Name: "source/x"}, token) },
		"foreign side": func() (session.Record, error) { return s.Open(session.Owner{Side: "images", Name: "source"}, token) },
		"split moved":  func() (session.Record, error) { return s.Open(session.Owner{Side: "sourcesource"}, token) },
		"wrong key": func() (session.Record, error) {
			return session.NewSealer(keys(t, keyfile.Generate()), time.Now).Open(owner(), token)
		},
		"expired": func() (session.Record, error) { return later.Open(owner(), token) },
	} {
		if got, err := open(); !errors.Is(err, session.ErrUnknown) || got != (session.Record{}) {
			t.Errorf("%s: %+v, %v; want nothing and ErrUnknown", name, got, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	k, err := session.ParseKeys("keys", keyfile.Generate())
	if err != nil {
		f.Fatal(err)
	}
	s := session.NewSealer(k, time.Now)
	token, err := s.Seal(owner(), record())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token)
	f.Add(token[1:])
	f.Fuzz(func(t *testing.T, other string) {
		if _, err := s.Open(owner(), other); err == nil && other != token {
			t.Errorf("%q opened", other)
		}
	})
}
