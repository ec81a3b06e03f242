// SPDX-License-Identifier: Apache-2.0

package imageproxy

// Package ticket makes and checks the short-lived tokens that a license buys at the image proxy.
//
// A ticket says which credential bought it and which repositories it was bought for, and nothing about whether that credential is
// still good: it is looked up again at every request, so that a ticket never outlives its license. It is a JSON Web Token, because
// that is what the clients of registries are used to; one algorithm exists, and neither the ticket nor its bearer chooses it.
//
// Source: distribution token specification; RFC 7519, RFC 8725.

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TokenLifetime of a ticket. Clients get a new one by themselves; the distribution specification wants a minute at least.
const TokenLifetime = 5 * time.Minute

// issuer and audience keep tickets apart from whatever else may one day be signed with a key that is derived from the same one.
const (
	issuer   = "local-source-proxy"
	audience = "image-proxy"
)

var (
	// ErrTokenExpired is for a ticket that was good and is too old: its bearer just buys another.
	ErrTokenExpired = errors.New("the token has expired")
	// ErrInvalid is for anything else that is no ticket of these keys. The wrapped cause is for the log.
	ErrInvalid = errors.New("not a token of this server")
)

// Token is what a token stands for.
type Token struct {
	// Credential is the SHA-256 of the license id that bought it.
	Credential [sha256.Size]byte
	// Repositories may be pulled with it.
	Repositories []string
	// Issued is when it was bought.
	Issued time.Time
}

// claims is a ticket in the form of a JSON Web Token, with nothing in it that takes long to read: all of it is read at every request.
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

// Issuer signs and checks tickets. It is safe for concurrent use.
type Issuer struct {
	keys   atomic.Pointer[TokenKeys]
	now    func() time.Time
	parser *jwt.Parser
}

// NewIssuer makes an office; now is the clock, [time.Now] outside tests.
func NewIssuer(keys *TokenKeys, now func() time.Time) *Issuer {
	o := &Issuer{now: now, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{algorithm().Alg()}), jwt.WithStrictDecoding(), jwt.WithTimeFunc(now),
		jwt.WithExpirationRequired(), jwt.WithIssuer(issuer), jwt.WithAudience(audience),
	)}
	o.keys.Store(keys)
	return o
}

// Replace puts other keys in force for the next ticket.
func (o *Issuer) Replace(keys *TokenKeys) { o.keys.Store(keys) }

// Issue signs a ticket, whose time of issue is now.
func (o *Issuer) Issue(credential [sha256.Size]byte, repositories []string) (token string, issued time.Time, err error) {
	issued = o.now().Truncate(time.Second)
	token, err = jwt.NewWithClaims(algorithm(), &claims{
		Issuer: issuer, Audience: audience, Subject: hex.EncodeToString(credential[:]),
		Issued: issued.Unix(), Expires: issued.Add(TokenLifetime).Unix(), Repositories: repositories,
	}).SignedString(o.keys.Load().signing)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("sign token: %w", err)
	}
	return token, issued, nil
}

// Check returns the ticket of a token. The error is [ErrExpired] or [ErrInvalid].
func (o *Issuer) Check(token string) (Token, error) {
	var c claims
	_, err := o.parser.ParseWithClaims(token, &c, o.keys.Load().find)
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
