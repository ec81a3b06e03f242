// SPDX-License-Identifier: Apache-2.0

package ambient

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/containers/azcontainerregistry"
	"github.com/golang-jwt/jwt/v5"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
)

// azureUser is the name that goes with every refresh token of the registry.
const azureUser = "00000000-0000-0000-0000-000000000000"

// IsAzure reports whether the host is a registry of Azure's, of the public or a sovereign cloud.
func IsAzure(host string) bool {
	_, ok := cloudOf(host)
	return ok
}

// cloudOf returns the cloud that identities for a registry come from, by the registry's domain.
func cloudOf(host string) (cloud.Configuration, bool) {
	host = strings.ToLower(host)
	if strings.HasPrefix(host, ".") || strings.ContainsAny(host, ":/@") {
		return cloud.Configuration{}, false
	}
	switch {
	case strings.HasSuffix(host, ".azurecr.io"):
		return cloud.AzurePublic, true
	case strings.HasSuffix(host, ".azurecr.cn"):
		return cloud.AzureChina, true
	case strings.HasSuffix(host, ".azurecr.us"):
		return cloud.AzureGovernment, true
	default:
		return cloud.Configuration{}, false
	}
}

// AzureOption changes what [New] returns.
type AzureOption func(*azureProvider)

// WithAzureTransport sends the requests of Azure's libraries, to identity endpoints and to the registry,
// through t instead of the libraries' own client.
func WithAzureTransport(t policy.Transporter) AzureOption {
	return func(p *azureProvider) { p.options.Transport = t }
}

// Azure returns the keychain of Azure's registries. It does nothing until it is asked for one; other hosts
// are anonymous.
//
// Sources of identity are those of Azure's libraries and their environment (AZURE_…); AZURE_TOKEN_CREDENTIALS
// chooses one.
func Azure(options ...AzureOption) keychain.Keychain {
	p := &azureProvider{}
	for _, option := range options {
		option(p)
	}
	return keychain.Match(IsAzure, keychain.Func(p.credential))
}

type azureProvider struct{ options azcore.ClientOptions }

func (p *azureProvider) credential(ctx context.Context, host string) (keychain.Credential, error) {
	home, _ := cloudOf(host)
	options := p.options
	if os.Getenv("AZURE_AUTHORITY_HOST") == "" { // the webhook of workload identity sets it; the libraries would prefer ours
		options.Cloud = home
	}
	identity, err := azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{ClientOptions: options})
	if err != nil {
		return keychain.Credential{}, azureError(host, "read the Azure settings", err, "correct the AZURE_… variables")
	}
	scope := home.Services[azcontainerregistry.ServiceName].Audience + "/.default"
	entra, err := identity.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{scope}})
	if err != nil {
		if _, tried := errors.AsType[*azidentity.AuthenticationFailedError](err); !tried && ctx.Err() == nil {
			err = noIdentity{err}
		}
		return keychain.Credential{}, azureError(host, "get an Azure identity", err,
			"federate the ServiceAccount with an Entra application (workload identity) or give the node a managed identity, or use a docker config")
	}
	token, err := exchange(ctx, host, entra.Token, options)
	if err != nil {
		return keychain.Credential{}, azureError(host, "exchange the identity at the registry", err,
			"give the identity the role AcrPush (or AcrPull) on this registry")
	}
	return keychain.Credential{Username: azureUser, IdentityToken: token, Expires: expiry(token)}, nil
}

// exchange buys the registry's refresh token with the one of Entra ID (POST /oauth2/exchange).
func exchange(ctx context.Context, host, token string, options azcore.ClientOptions) (string, error) {
	client, err := azcontainerregistry.NewAuthenticationClient("https://"+host,
		&azcontainerregistry.AuthenticationClientOptions{ClientOptions: options})
	if err != nil {
		return "", err
	}
	answer, err := client.ExchangeAADAccessTokenForACRRefreshToken(ctx, azcontainerregistry.PostContentSchemaGrantTypeAccessToken, host,
		&azcontainerregistry.AuthenticationClientExchangeAADAccessTokenForACRRefreshTokenOptions{AccessToken: &token})
	if err != nil {
		return "", err
	}
	if answer.RefreshToken == nil || *answer.RefreshToken == "" {
		return "", errors.New("the answer holds no refresh token")
	}
	return *answer.RefreshToken, nil
}

// expiry is read from the token, a JWT that only the registry can verify; zero when it does not say.
func expiry(token string) time.Time {
	var claims jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(token, &claims); err != nil || claims.ExpiresAt == nil {
		return time.Time{}
	}
	return claims.ExpiresAt.Time
}
