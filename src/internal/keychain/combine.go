// SPDX-License-Identifier: Apache-2.0

package keychain

import "context"

// Chain asks its members in order and takes the first credential that is not anonymous. An error ends the
// search: a member that should know a host and fails must not be papered over by a weaker one.
func Chain(members ...Keychain) Keychain {
	return Func(func(ctx context.Context, host string) (Credential, error) {
		for _, member := range members {
			credential, err := member.Credential(ctx, host)
			if err != nil || !credential.Anonymous() {
				return credential, err
			}
		}
		return Credential{}, nil
	})
}

// Match asks k only for hosts that belong to it; any other host is anonymous.
func Match(belongs func(host string) bool, k Keychain) Keychain {
	return Func(func(ctx context.Context, host string) (Credential, error) {
		if !belongs(host) {
			return Credential{}, nil
		}
		return k.Credential(ctx, host)
	})
}
