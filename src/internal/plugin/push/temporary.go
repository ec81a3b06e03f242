// SPDX-License-Identifier: Apache-2.0

package push

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
)

// temporary reports whether a try may succeed where this one failed. A connection that breaks may; a host
// that has no name or the wrong certificate will not, nor an answer that is final.
func temporary(err error) bool {
	if errors.Is(err, errRestart) {
		return true
	}
	if e, ok := errors.AsType[*apiserver.Error](err); ok {
		// The API server's 401 in the middle of a push: the credential has expired, and client-go fetches a
		// new one for the next request.
		return e.Temporary() || e.Origin == apiserver.Cluster && e.Status == http.StatusUnauthorized
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return false
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return !e.IsNotFound
	}
	if _, ok := errors.AsType[*localError](err); ok {
		return false
	}
	return true
}

// localError is a failure to read what is to be sent.
type localError struct{ error }

func (l *localError) Unwrap() error { return l.error }

// unseen reports whether a HEAD did not find what it looked for. One that is refused counts as such: its
// answer has no body to say why (RFC 9110, 9.3.2), and that of the request which follows has.
func unseen(err error) bool { return isStatus(err, http.StatusNotFound, http.StatusForbidden) }

func isStatus(err error, statuses ...int) bool {
	e, ok := errors.AsType[*apiserver.Error](err)
	if !ok {
		return false
	}
	for _, s := range statuses {
		if e.Status == s {
			return true
		}
	}
	return false
}
