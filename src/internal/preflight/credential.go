// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/diagnosis"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

const (
	rightPassword = "correct the user name and password in the push secret or docker config, or have the account unlocked; " +
		"a token may have expired"
	rightToPush = "give the account the right to push to this repository, or configure one that has it; " +
		"some registries refuse a locked account like this"
)

// probeTimeout bounds how long a port that should speak plain HTTP is asked for TLS.
const probeTimeout = 5 * time.Second

// maxFiled is how many hosts a remedy names.
const maxFiled = 10

// errRefused is about the credential itself, as opposed to what it may do.
var errRefused = errors.New("the registry refuses the credential, whatever the repository")

// token shows the credential. A registry that wants the password itself would say nothing until the upload, so
// the password is shown for no repository first.
func (c *checker) token(ctx context.Context) (diagnosis.Step, error) {
	shown, err := c.registry.Authorize(ctx, upstream.Push(c.repository))
	if realm, ok := errors.AsType[*upstream.RealmError](err); ok {
		return diagnosis.Step{Remedy: realm.Remedy("token_realms")}, err
	}
	there, refused, credentialErr := c.registry.Credential(ctx)
	c.anonymous = !there && credentialErr == nil
	refusal, denied := errors.AsType[*upstream.Refusal](err)
	switch {
	case err != nil && c.anonymous:
		return diagnosis.Step{Remedy: c.missing()}, err
	case denied && refusal.Status != 0 && there && !refused && credentialErr == nil:
		// Not proven, or good for something else: it can be either.
		return diagnosis.Step{Remedy: rightPassword + "; or " + rightToPush}, err
	case err != nil:
		return diagnosis.Step{Remedy: rightPassword}, err
	case credentialErr != nil:
		return diagnosis.Step{Remedy: rightPassword}, credentialErr
	case refused:
		return diagnosis.Step{Remedy: rightPassword}, errRefused
	case c.anonymous:
		return diagnosis.Step{Status: diagnosis.Skipped, Detail: "there is no credential for " + c.registry.Host()}, nil
	case !shown:
		return diagnosis.Step{Status: diagnosis.Skipped, Detail: "the registry asks for no credential"}, nil
	default:
		return diagnosis.Step{Detail: "there is a credential, and a token where the registry wants one"}, nil
	}
}

// missing is what to do when the registry wants a credential and there is none under its name.
func (c *checker) missing() string {
	host := c.registry.Host()
	if len(c.filed) == 0 {
		return fmt.Sprintf("there is no credential for %s: put one into the push secret or docker config, under that name", host)
	}
	names := c.filed[:min(len(c.filed), maxFiled)]
	more := ""
	if rest := len(c.filed) - len(names); rest > 0 {
		more = fmt.Sprintf(" and %d more", rest)
	}
	return fmt.Sprintf("there is no credential for %s, only for %s%s: file it under the host and port that repository has",
		host, strings.Join(names, ", "), more)
}

// speaksTLS reports whether the registry answers a handshake, with whatever certificate.
func (c *checker) speaksTLS(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	conn, err := (&tls.Dialer{Config: c.reach.TLS}).DialContext(ctx, "tcp", c.reach.Host)
	if err == nil {
		_ = conn.Close()
		return true
	}
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	return untrusted
}
