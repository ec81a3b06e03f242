// SPDX-License-Identifier: Apache-2.0

package httpserver

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
)

// notHTTPS answers a client that speaks plain HTTP here, as net/http does to its own TLS connections.
const notHTTPS = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"

// secured answers a client for which TLS has failed.
func (ociConn) secured(err error) error {
	if record, ok := errors.AsType[tls.RecordHeaderError](err); ok && record.Conn != nil {
		switch string(record.RecordHeader[:]) {
		case "GET /", "HEAD ", "POST ", "PUT /", "PATCH", "DELET", "OPTIO":
			_, _ = io.WriteString(record.Conn, notHTTPS)
		}
	}
	return err
}

// http1 offers HTTP/1.1 alone: a connection is one request at a time then, so that the bound on connections
// bounds requests as well, and one slow download holds up no other (quirk D7).
func http1(config *tls.Config) *tls.Config {
	config = config.Clone()
	config.NextProtos = []string{"http/1.1"}
	return config
}

type connKey struct{}

// withConn lets handlers find their connection.
func withConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// withTLSState sets [http.Request.TLS], which net/http knows of its own TLS connections alone.
func withTLSState(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, ok := r.Context().Value(connKey{}).(ociConn); ok {
			if secure, ok := conn.Conn.(*tls.Conn); ok {
				state := secure.ConnectionState()
				r.TLS = &state
			}
		}
		next.ServeHTTP(w, r)
	})
}
