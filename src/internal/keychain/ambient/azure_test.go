// SPDX-License-Identifier: Apache-2.0

package ambient_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain/ambient"
)

const (
	azureHost = "team.azurecr.io"
	tenant    = "11111111-2222-3333-4444-555555555555"
	client    = "66666666-7777-8888-9999-000000000000"
	instances = "https://login.microsoftonline.com"
	imds      = "http://169.254.169.254"
)

// cloud stands in for Entra ID, the metadata service of a virtual machine and the registry. It is the
// libraries' transport: it notes the true address of each request and sends it to one server on loopback,
// with that address in the header.
type cloud struct {
	t         *testing.T
	server    *url.URL
	authority string            // of Entra ID
	answers   map[string]string // path: body of a refusal instead
	status    int               // of a refusal
	refresh   string            // the registry's token
	ctx       context.Context   // of the question
	quit      context.CancelFunc

	mu    sync.Mutex
	calls []string
}

const addressHeader = "Test-Address"

func (c *cloud) Do(r *http.Request) (*http.Response, error) {
	if r.URL.Host == "169.254.169.254" && c.answers["imds"] == "none" {
		return nil, &url.Error{Op: "Get", URL: imds, Err: io.ErrClosedPipe}
	}
	out := r.Clone(r.Context())
	out.Header.Set(addressHeader, r.URL.Scheme+"://"+r.URL.Host)
	out.URL.Scheme, out.URL.Host, out.Host = c.server.Scheme, c.server.Host, ""
	return http.DefaultTransport.RoundTrip(out)
}

func azureStart(t *testing.T) *cloud {
	refresh, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{ExpiresAt: jwt.NewNumericDate(time.Unix(1893456000, 0))}).SignedString([]byte("k"))
	if err != nil {
		t.Fatal(err)
	}
	c := &cloud{t: t, authority: instances, answers: map[string]string{}, status: http.StatusUnauthorized, refresh: refresh}
	c.ctx, c.quit = context.WithCancel(t.Context())
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	if c.server, err = url.Parse(server.URL); err != nil {
		t.Fatal(err)
	}
	for _, name := range os.Environ() {
		name, value, _ := strings.Cut(name, "=")
		if strings.HasPrefix(name, "AZURE_") || strings.HasPrefix(name, "IDENTITY_") || strings.HasPrefix(name, "MSI_") {
			t.Setenv(name, value) // restores it
			os.Unsetenv(name)
		}
	}
	t.Setenv("PATH", t.TempDir()) // no az, azd, pwsh
	return c
}

// federate sets what the webhook of workload identity sets in a pod.
func federate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("service-account-token"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AZURE_CLIENT_ID", client)
	t.Setenv("AZURE_TENANT_ID", tenant)
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", file)
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	address := r.Header.Get(addressHeader)
	c.mu.Lock()
	c.calls = append(c.calls, r.Method+" "+address+r.URL.Path)
	c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if body, ok := c.answers[r.URL.Path]; ok {
		w.WriteHeader(c.status)
		io.WriteString(w, body)
		return
	}
	answer := map[string]any{}
	switch address + r.URL.Path {
	case instances + "/common/discovery/instance", c.authority + "/common/discovery/instance":
		name := strings.TrimPrefix(c.authority, "https://")
		answer["tenant_discovery_endpoint"] = c.authority + "/" + tenant + "/v2.0/.well-known/openid-configuration"
		answer["metadata"] = []any{map[string]any{"preferred_network": name, "preferred_cache": name, "aliases": []string{name}}}
	case c.authority + "/" + tenant + "/v2.0/.well-known/openid-configuration":
		answer["issuer"] = c.authority + "/" + tenant + "/v2.0"
		answer["authorization_endpoint"] = c.authority + "/" + tenant + "/oauth2/v2.0/authorize"
		answer["token_endpoint"] = c.authority + "/" + tenant + "/oauth2/v2.0/token"
	case c.authority + "/" + tenant + "/oauth2/v2.0/token":
		c.wantForm(r, map[string]string{
			"grant_type": "client_credentials", "client_id": client, "client_assertion": "service-account-token",
			"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
		})
		if !strings.Contains(r.FormValue("scope"), "https://containerregistry.azure.net/.default") {
			c.t.Errorf("asked Entra ID for the scope %q", r.FormValue("scope"))
		}
		answer["access_token"], answer["expires_in"], answer["token_type"] = "entra", 3600, "Bearer"
	case imds + "/metadata/identity/oauth2/token":
		if r.Header.Get("Metadata") != "true" { // the probe
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"error": "invalid_request"}`)
			return
		}
		c.wantForm(r, map[string]string{"resource": "https://containerregistry.azure.net"})
		answer["access_token"], answer["expires_in"], answer["token_type"] = "entra", "3600", "Bearer"
	case "https://" + azureHost + "/oauth2/exchange", "https://team.azurecr.cn/oauth2/exchange":
		c.wantForm(r, map[string]string{"grant_type": "access_token", "service": strings.TrimPrefix(address, "https://"), "access_token": "entra"})
		answer["refresh_token"] = c.refresh
	default:
		c.t.Errorf("unexpected request: %s %s%s", r.Method, address, r.URL.Path)
		w.WriteHeader(http.StatusNotFound)
	}
	json.NewEncoder(w).Encode(answer)
}

func (c *cloud) wantForm(r *http.Request, want map[string]string) {
	c.t.Helper()
	got := map[string]string{}
	for name := range want {
		got[name] = r.FormValue(name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		c.t.Errorf("%s was asked otherwise: %s", r.URL.Path, diff)
	}
}

func (c *cloud) credential(host string) (keychain.Credential, error) {
	return ambient.Azure(ambient.WithAzureTransport(c)).Credential(c.ctx, host)
}

func TestAzureIdentities(t *testing.T) { // quirk A6
	tests := []struct {
		name, host, authority string
		setup                 func(*testing.T)
	}{
		{"workload identity", azureHost, instances, federate},
		{"workload identity, authority of the webhook", azureHost, "https://login.example.com", func(t *testing.T) {
			federate(t)
			t.Setenv("AZURE_AUTHORITY_HOST", "https://login.example.com/")
		}},
		{"workload identity in China", "team.azurecr.cn", "https://login.chinacloudapi.cn", federate},
		{"managed identity", azureHost, instances, func(*testing.T) {}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := azureStart(t)
			c.authority = test.authority
			test.setup(t)
			got, err := c.credential(test.host)
			if err != nil {
				t.Fatal(err)
			}
			want := keychain.Credential{Username: "00000000-0000-0000-0000-000000000000", IdentityToken: c.refresh}
			if !got.Expires.Equal(time.Unix(1893456000, 0)) {
				t.Errorf("expires %v", got.Expires)
			}
			if got.Expires = (time.Time{}); got != want {
				t.Errorf("got user %q, password %q, identity token %q", got.Username, got.Password, got.IdentityToken)
			}
			if last := c.calls[len(c.calls)-1]; last != "POST https://"+test.host+"/oauth2/exchange" {
				t.Errorf("ended with %s", last)
			}
		})
	}
}

func TestRefreshTokenWithoutExpiry(t *testing.T) {
	c := azureStart(t)
	federate(t)
	c.refresh = "opaque"
	got, err := c.credential(azureHost)
	if err != nil || got.IdentityToken != "opaque" || !got.Expires.IsZero() {
		t.Errorf("got %q until %v, error %v", got.IdentityToken, got.Expires, err)
	}
}

func TestAzureErrors(t *testing.T) {
	const identity = ": federate the ServiceAccount with an Entra application (workload identity) or give the node a managed identity, or use a docker config"
	const exchange = ": give the identity the role AcrPush (or AcrPull) on this registry"
	tests := []struct {
		name  string
		setup func(*testing.T, *cloud)
		want  string
	}{
		{
			"federation is missing",
			func(t *testing.T, c *cloud) {
				federate(t)
				c.answers["/"+tenant+"/oauth2/v2.0/token"] = `{"error": "invalid_client", "error_description": "AADSTS700213: No matching federated identity record. Trace ID: 1 Correlation ID: 2"}`
			},
			"get an Azure identity: invalid_client: AADSTS700213: No matching federated identity record." + identity,
		},
		{
			"no identity at all",
			func(t *testing.T, c *cloud) { c.answers["imds"] = "none" },
			"get an Azure identity: no workload identity, managed identity or service principal here" + identity,
		},
		{
			"Entra ID speaks no OAuth",
			func(t *testing.T, c *cloud) {
				federate(t)
				c.answers["/"+tenant+"/v2.0/.well-known/openid-configuration"] = "<html>"
			},
			"get an Azure identity: the answer is HTTP status 401" + identity,
		},
		{
			"question ends with its context",
			func(t *testing.T, c *cloud) {
				federate(t)
				c.quit()
			},
			"get an Azure identity: context canceled" + identity,
		},
		{
			"registry refuses",
			func(t *testing.T, c *cloud) {
				federate(t)
				c.answers["/oauth2/exchange"] = `{"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}`
			},
			"exchange the identity at the registry: UNAUTHORIZED: authentication required" + exchange,
		},
		{
			"registry answers nonsense",
			func(t *testing.T, c *cloud) {
				federate(t)
				c.answers["/oauth2/exchange"] = "<html>"
			},
			"exchange the identity at the registry: the answer is HTTP status 401" + exchange,
		},
		{
			"registry answers without a token",
			func(t *testing.T, c *cloud) {
				federate(t)
				c.refresh = ""
			},
			"exchange the identity at the registry: the answer holds no refresh token" + exchange,
		},
		{
			"settings",
			func(t *testing.T, c *cloud) { t.Setenv("AZURE_TOKEN_CREDENTIALS", "nobody") },
			`read the Azure settings: invalid AZURE_TOKEN_CREDENTIALS value "nobody"`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := azureStart(t)
			test.setup(t, c)
			_, err := c.credential(azureHost)
			if err == nil {
				t.Fatal("no error")
			}
			if want := "Azure Container Registry, " + azureHost + ": " + test.want; !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got  %s\nwant %s", err, want)
			}
			if strings.Contains(err.Error(), "service-account-token") || strings.Contains(err.Error(), c.refresh) && c.refresh != "" {
				t.Errorf("the error holds a token: %s", err)
			}
		})
	}
}

func TestAzureMatch(t *testing.T) {
	for _, host := range []string{azureHost, "Team.AzureCR.io", "team.azurecr.cn", "team.azurecr.us", "team-abc.azurecr.io"} {
		if !ambient.IsAzure(host) {
			t.Errorf("%q does not match", host)
		}
	}
	for _, host := range []string{"", "azurecr.io", ".azurecr.io", "teamazurecr.io", "team.azurecr.io.example.com", "team.azurecr.io:5000", "evil.com/x.azurecr.io", "mcr.microsoft.com"} {
		if ambient.IsAzure(host) {
			t.Errorf("%q matches", host)
		}
	}
}

func TestAzureForeignHostIsAnonymousWithoutAsking(t *testing.T) {
	c := azureStart(t)
	federate(t)
	if got, err := c.credential("registry.example.com"); err != nil || !got.Anonymous() || len(c.calls) != 0 {
		t.Errorf("got %v, error %v, after %v", got, err, c.calls)
	}
}
