// SPDX-License-Identifier: Apache-2.0

package keychain_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
)

const host = "registry.example.com"

func fixed(credential keychain.Credential, err error) keychain.Keychain {
	return keychain.Func(func(context.Context, string) (keychain.Credential, error) { return credential, err })
}

// forbidden fails the test when it is asked.
func forbidden(t *testing.T) keychain.Keychain {
	return keychain.Func(func(_ context.Context, host string) (keychain.Credential, error) {
		t.Errorf("asked for %s, which must not happen", host)
		return keychain.Credential{}, nil
	})
}

func TestChain(t *testing.T) {
	broken := errors.New("helper is broken")
	anonymous := fixed(keychain.Credential{}, nil)
	alice := keychain.Credential{Username: "alice", Password: "one"}
	tests := []struct {
		name    string
		members []keychain.Keychain
		want    keychain.Credential
		err     error
	}{
		{name: "nobody is asked", members: nil},
		{name: "nobody knows", members: []keychain.Keychain{anonymous, anonymous}},
		{name: "first that knows", members: []keychain.Keychain{anonymous, fixed(alice, nil), forbidden(t)}, want: alice},
		{name: "an error stops", members: []keychain.Keychain{anonymous, fixed(keychain.Credential{}, broken), forbidden(t)}, err: broken},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := keychain.Chain(test.members...).Credential(t.Context(), host)
			if !errors.Is(err, test.err) {
				t.Fatalf("got error %v, want %v", err, test.err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMatch(t *testing.T) {
	bob := keychain.Credential{RegistryToken: "two"}
	ours := func(h string) bool { return h == host }

	got, err := keychain.Match(ours, fixed(bob, nil)).Credential(t.Context(), host)
	if err != nil || got != bob {
		t.Errorf("own host: got %v, %v", got, err)
	}
	got, err = keychain.Match(ours, forbidden(t)).Credential(t.Context(), "elsewhere.example.com")
	if err != nil || !got.Anonymous() {
		t.Errorf("foreign host: got %v, %v", got, err)
	}
}
