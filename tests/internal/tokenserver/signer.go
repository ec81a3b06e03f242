// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// signer signs tokens with a key whose certificate travels in the token (RFC 7515, section 4.1.6), so that a
// registry only needs that certificate among its roots.
type signer struct {
	method  jwt.SigningMethod
	key     crypto.Signer
	chain   []string // base64 DER, the certificate alone
	certPEM []byte
}

func newSigner(algorithm, issuer string, now time.Time) (*signer, error) {
	method, key, err := newKey(algorithm)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: issuer},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make the signing certificate: %w", err)
	}
	return &signer{
		method:  method,
		key:     key,
		chain:   []string{base64.StdEncoding.EncodeToString(der)},
		certPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
	}, nil
}

func newKey(algorithm string) (jwt.SigningMethod, crypto.Signer, error) {
	switch algorithm {
	case "", jwt.SigningMethodES256.Alg():
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, nil, fmt.Errorf("make an ECDSA key: %w", err)
		}
		return jwt.SigningMethodES256, key, nil
	case jwt.SigningMethodRS256.Alg():
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, nil, fmt.Errorf("make an RSA key: %w", err)
		}
		return jwt.SigningMethodRS256, key, nil
	}
	return nil, nil, fmt.Errorf("algorithm %q: want ES256 or RS256", algorithm)
}

// sign makes a token. Its claims are those of the distribution token specification, "Token authentication
// implementation". The audience is a plain string because registries before distribution v3 read no list.
func (s *Server) sign(subject string, granted []Scope, issuedAt time.Time) (string, error) {
	start := issuedAt.Add(-s.cfg.Leeway)
	token := jwt.NewWithClaims(s.signer.method, jwt.MapClaims{
		"iss":    s.cfg.Issuer,
		"sub":    subject,
		"aud":    s.cfg.Service,
		"iat":    start.Unix(),
		"nbf":    start.Unix(),
		"exp":    start.Add(s.cfg.ExpiresIn).Unix(),
		"jti":    rand.Text(),
		"access": granted,
	})
	token.Header["x5c"] = s.signer.chain
	signed, err := token.SignedString(s.signer.key)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return signed, nil
}
