// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// TestTLS is reloaded when the files change, and a pair that does not fit leaves the old one in force. A client
// that would speak HTTP/2 gets HTTP/1.1.
func TestTLS(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	acme := v.license("acme")
	v.pushed("private", "v1")
	first, second := harness.NewCertificates(t), harness.NewCertificates(t)
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	copyFile(t, first.CertFile, certFile)
	copyFile(t, first.KeyFile, keyFile)
	server := v.serve("--image-proxy-tls-cert="+certFile, "--image-proxy-tls-key="+keyFile)
	served := func(by harness.Certificates) error { return pullOverTLS(t, server, by.CA, acme) }
	if err := served(first); err != nil {
		t.Fatal(err)
	}
	copyFile(t, second.CertFile, certFile) // whose key is still missing
	harness.Eventually(t, "the log says what is wrong", func(context.Context) error {
		if len(server.Stderr.Records("certificate not reloaded, the last good one stays in use")) == 0 {
			return errors.New("it does not")
		}
		return nil
	})
	if err := served(first); err != nil {
		t.Errorf("with half a pair: %v", err)
	}
	copyFile(t, second.KeyFile, keyFile)
	harness.Eventually(t, "the new certificate", func(context.Context) error { return served(second) })
	if served(first) == nil {
		t.Error("the old certificate is served still")
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	harness.WriteFile(t, to, content)
}

// pullOverTLS pulls a manifest from a server whose certificate is of this CA, and looks at the
// challenge.
func pullOverTLS(t *testing.T, server *harness.Server, ca []byte, customer *license) error {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	for status, header := range map[int]http.Header{http.StatusOK: customer.auth(), http.StatusUnauthorized: {}} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+server.Images+"/v2/"+name("private")+"/manifests/v1", nil)
		if err != nil {
			return err
		}
		request.Header = header
		response, err := transport.RoundTrip(request)
		if err != nil {
			return err
		}
		_ = response.Body.Close()
		if response.StatusCode != status || response.ProtoMajor != 1 {
			return fmt.Errorf("%s by %s", response.Status, response.Proto)
		}
		if challenge := response.Header.Get("WWW-Authenticate"); status == http.StatusUnauthorized && !strings.Contains(challenge, `realm="https://`+server.Images+`/v2/token"`) {
			return fmt.Errorf("challenged with %s", challenge)
		}
	}
	return nil
}
