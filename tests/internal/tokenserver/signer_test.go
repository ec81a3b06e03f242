// SPDX-License-Identifier: Apache-2.0

package tokenserver_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/tokenserver"
)

// claims is what a registry reads from a token.
type claims struct {
	jwt.RegisteredClaims
	Access []tokenserver.Scope `json:"access"`
}

// verify checks a token as a registry with a rootcertbundle does: its x5c certificate must lead to the
// bundle, and its signature to that certificate.
func verify(t *testing.T, server *tokenserver.Server, token string, now time.Time) (claims, error) {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(server.CertPEM()) {
		t.Fatalf("no certificate in %s", server.CertPEM())
	}
	var got claims
	_, err := jwt.ParseWithClaims(token, &got, func(parsed *jwt.Token) (any, error) {
		der, err := base64.StdEncoding.DecodeString(parsed.Header["x5c"].([]any)[0].(string))
		if err != nil {
			return nil, err
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		_, err = cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now})
		return cert.PublicKey, err
	}, jwt.WithTimeFunc(func() time.Time { return now }), jwt.WithAudience(service), jwt.WithIssuer(server.Issuer()))
	return got, err
}

func TestTokenIsWhatARegistryAccepts(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, algorithm := range []string{"", "ES256", "RS256"} {
		t.Run("algorithm "+algorithm, func(t *testing.T) {
			t.Parallel()
			server := newServer(t, func(c *tokenserver.Config) {
				c.Algorithm = algorithm
				c.ExpiresIn = time.Minute
				c.Now = func() time.Time { return start }
			})
			reply := get(t, server, "operator", "correct", values("scope", pushSource.String()))
			if reply.ExpiresIn != 60 {
				t.Errorf("expires_in %d, want 60", reply.ExpiresIn)
			}
			got, err := verify(t, server, reply.Token, start.Add(59*time.Second))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]tokenserver.Scope{pushSource}, got.Access); diff != "" {
				t.Error(diff)
			}
			if got.Subject != "operator" {
				t.Errorf("subject %q", got.Subject)
			}
			if _, err := verify(t, server, reply.Token, start.Add(61*time.Second)); err == nil {
				t.Error("accepted after its end")
			}
			if _, err := verify(t, newServer(t, nil), reply.Token, start); err == nil {
				t.Error("accepted by a registry that trusts another certificate")
			}
		})
	}
}

func TestLeewayEndsTokensEarlier(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	server := newServer(t, func(c *tokenserver.Config) {
		c.ExpiresIn, c.Leeway = 2*time.Second, time.Minute
		c.Now = func() time.Time { return start }
	})
	reply := get(t, server, "operator", "correct", values())
	if reply.ExpiresIn != 2 {
		t.Errorf("expires_in %d, want 2", reply.ExpiresIn)
	}
	var got claims
	if _, _, err := jwt.NewParser().ParseUnverified(reply.Token, &got); err != nil {
		t.Fatal(err)
	}
	if end, want := got.ExpiresAt.UTC(), start.Add(-58*time.Second); !end.Equal(want) {
		t.Errorf("signed end %s, want %s", end, want)
	}
	if pem, _ := pem.Decode(server.CertPEM()); pem == nil || pem.Type != "CERTIFICATE" {
		t.Errorf("certificate %v", pem)
	}
}
