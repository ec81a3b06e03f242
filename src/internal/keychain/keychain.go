// SPDX-License-Identifier: Apache-2.0

package keychain

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// Credential is what a registry is shown. At most one of the three forms is set; the zero value means
// anonymous.
type Credential struct {
	// Username and Password are the Basic form (RFC 7617), also traded for a Bearer token at the registry's
	// realm.
	Username, Password string
	// IdentityToken is an OAuth2 refresh token ("identitytoken" in a docker config), traded for a Bearer
	// token. A Username may stand beside it, as some registries name one (quirk A6); a Password does not.
	IdentityToken string
	// RegistryToken is a Bearer token that is sent as it is ("registrytoken" in a docker config).
	RegistryToken string
	// Expires is when the credential stops being good; zero when that is not known or never.
	Expires time.Time
}

// Anonymous reports whether there is nothing to show to the registry.
func (c Credential) Anonymous() bool {
	return c.Username == "" && c.Password == "" && c.IdentityToken == "" && c.RegistryToken == ""
}

// Format implements [fmt.Formatter], so that no verb prints a secret.
func (c Credential) Format(f fmt.State, _ rune) {
	fmt.Fprint(f, c.redacted())
}

// LogValue implements [slog.LogValuer] for the same reason.
func (c Credential) LogValue() slog.Value {
	return slog.StringValue(c.redacted())
}

func (c Credential) redacted() string {
	switch {
	case c.Anonymous():
		return "anonymous"
	case c.IdentityToken != "":
		return "identity token"
	case c.RegistryToken != "":
		return "registry token"
	default:
		return "user name and password"
	}
}

// Keychain finds the credential for a registry host such as "registry.example.com:5000".
//
// No entry for the host is not an error: the answer is then the anonymous credential. An error means that
// there should be a credential and it could not be had; its text names the place and what to do, and never
// the secret.
type Keychain interface {
	Credential(ctx context.Context, host string) (Credential, error)
}

// Func makes a function a [Keychain].
type Func func(ctx context.Context, host string) (Credential, error)

// Credential implements [Keychain].
func (f Func) Credential(ctx context.Context, host string) (Credential, error) { return f(ctx, host) }
