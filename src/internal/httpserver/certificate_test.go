// SPDX-License-Identifier: Apache-2.0

package httpserver_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver"
)

// issue makes a certificate of this name that signs itself, and its key.
func issue(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
}

// notes are lines of a log, as they come.
type notes struct {
	mu sync.Mutex
	b  bytes.Buffer
	ch chan string
}

func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.b.Write(p)
	n.ch <- string(p)
	return len(p), nil
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func serves(t *testing.T, p *httpserver.Certificate) string {
	t.Helper()
	pair, err := p.Config().GetCertificate(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf.Subject.CommonName
}

func TestAChangedPairIsServed(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	cert, key := issue(t, "first")
	write(t, certFile, cert)
	write(t, keyFile, key)
	log := &notes{ch: make(chan string, 9)}
	pair, err := httpserver.LoadCertificate(certFile, keyFile, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	var reloads []bool
	go func() { ended <- pair.Follow(ctx, func(err error) { reloads = append(reloads, err == nil) }) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if want := []bool{false, false, true, false}; !slices.Equal(reloads, want) {
			t.Errorf("reported %v, want %v", reloads, want)
		}
	}()
	// A certificate that comes before its key changes nothing, nor does its removal, nor a file of something
	// else.
	cert, key = issue(t, "second")
	for _, step := range []struct{ path, content string }{{certFile, string(cert)}, {keyFile, "no key"}} {
		write(t, step.path, []byte(step.content))
		if line := <-log.ch; !strings.Contains(line, "certificate not reloaded") || strings.Contains(line, "PRIVATE KEY") {
			t.Errorf("logged %s", line)
		}
		if got := serves(t, pair); got != "first" {
			t.Errorf("the certificate %s is served", got)
		}
	}
	write(t, keyFile, key)
	if line := <-log.ch; !strings.Contains(line, "certificate reloaded") || serves(t, pair) != "second" {
		t.Errorf("%s is served, logged %s", serves(t, pair), line)
	}
	if err := os.Remove(certFile); err != nil {
		t.Fatal(err)
	}
	if line := <-log.ch; !strings.Contains(line, "no such file") || serves(t, pair) != "second" {
		t.Errorf("%s is served, logged %s", serves(t, pair), line)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	cert, key := issue(t, "first")
	_, another := issue(t, "second")
	for name, content := range map[string][]byte{"cert": cert, "key": key, "another": another, "text": []byte("text")} {
		write(t, filepath.Join(dir, name), content)
	}
	for _, test := range []struct{ cert, key, says string }{
		{"cert", "missing", "no such file"}, {"missing", "key", "no such file"}, {"cert", "another", "does not match"}, {"text", "key", "failed to find"}, {"cert", "text", "failed to find"},
	} {
		_, err := httpserver.LoadCertificate(filepath.Join(dir, test.cert), filepath.Join(dir, test.key), slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s and %s: %v", test.cert, test.key, err)
		}
	}
	pair, err := httpserver.LoadCertificate(filepath.Join(dir, "cert"), filepath.Join(dir, "key"), slog.New(slog.DiscardHandler))
	if err != nil || pair.Config().MinVersion != tls.VersionTLS12 {
		t.Errorf("%+v, %v", pair, err)
	}
}
