// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TokenLifetime is how long a token is good. The distribution token specification demands a minute at least.
const TokenLifetime = 5 * time.Minute

// issuer and audience tell these tokens from others that a related key may sign one day.
const (
	issuer   = "local-source-proxy"
	audience = "image-proxy"
)

var (
	// ErrTokenExpired means that the token was good and is too old. The client fetches another.
	ErrTokenExpired = errors.New("the token has expired")
	// ErrInvalid means that these keys did not sign the token. The wrapped cause is for the log.
	ErrInvalid = errors.New("not a token of this server")
)

// Token is what a valid token says.
type Token struct {
	// Credential is the SHA-256 of the license id that the token was issued for.
	Credential [sha256.Size]byte
	// Repositories may be pulled with it.
	Repositories []string
	// Issued is when.
	Issued time.Time
}

// claims are those of the JSON Web Token. They are few and flat, because every request parses them.
type claims struct {
	Issuer       string   `json:"iss"`
	Audience     string   `json:"aud"`
	Subject      string   `json:"sub"`
	Issued       int64    `json:"iat"` // in seconds
	Expires      int64    `json:"exp"`
	Repositories []string `json:"repositories"`
}

// The methods of [jwt.Claims].

func (c *claims) GetIssuer() (string, error)                   { return c.Issuer, nil }
func (c *claims) GetAudience() (jwt.ClaimStrings, error)       { return jwt.ClaimStrings{c.Audience}, nil }
func (c *claims) GetSubject() (string, error)                  { return c.Subject, nil }
func (c *claims) GetIssuedAt() (*jwt.NumericDate, error)       { return date(c.Issued), nil }
func (c *claims) GetNotBefore() (*jwt.NumericDate, error)      { return nil, nil }
func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) { return date(c.Expires), nil }

// date is nil, as a claim that is missing, for 0.
func date(seconds int64) *jwt.NumericDate {
	if seconds == 0 {
		return nil
	}
	return &jwt.NumericDate{Time: time.Unix(seconds, 0)}
}

// Issuer signs and checks tokens. It is safe for concurrent use.
type Issuer struct {
	keys   atomic.Pointer[TokenKeys]
	now    func() time.Time
	parser *jwt.Parser
}

// NewIssuer returns an issuer; now is the clock, [time.Now] outside tests.
func NewIssuer(keys *TokenKeys, now func() time.Time) *Issuer {
	i := &Issuer{now: now, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{algorithm().Alg()}), jwt.WithStrictDecoding(), jwt.WithTimeFunc(now),
		jwt.WithExpirationRequired(), jwt.WithIssuer(issuer), jwt.WithAudience(audience),
	)}
	i.keys.Store(keys)
	return i
}

// Replace puts other keys in force for the next token.
func (i *Issuer) Replace(keys *TokenKeys) { i.keys.Store(keys) }

// Issue signs a token that is issued now.
func (i *Issuer) Issue(
	credential [sha256.Size]byte, repositories []string,
) (token string, issued time.Time, err error) {
	issued = i.now().Truncate(time.Second)
	token, err = jwt.NewWithClaims(algorithm(), &claims{
		Issuer: issuer, Audience: audience, Subject: hex.EncodeToString(credential[:]),
		Issued: issued.Unix(), Expires: issued.Add(TokenLifetime).Unix(), Repositories: repositories,
	}).SignedString(i.keys.Load().signing)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("sign token: %w", err)
	}
	return token, issued, nil
}

// Check returns what a token says. The error is [ErrTokenExpired] or [ErrInvalid].
func (i *Issuer) Check(token string) (Token, error) {
	var c claims
	_, err := i.parser.ParseWithClaims(token, &c, i.keys.Load().find)
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return Token{}, ErrTokenExpired
	case err != nil:
		return Token{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	hash, err := hex.DecodeString(c.Subject)
	if err != nil || len(hash) != sha256.Size {
		return Token{}, fmt.Errorf("%w: signed by an incompatible version", ErrInvalid)
	}
	return Token{Credential: [sha256.Size]byte(hash), Repositories: c.Repositories, Issued: time.Unix(c.Issued, 0)}, nil
}

// algorithm is the only one.
func algorithm() *jwt.SigningMethodHMAC { return jwt.SigningMethodHS256 }
