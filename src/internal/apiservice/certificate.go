// SPDX-License-Identifier: Apache-2.0

package apiservice

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// The keys of the Secret. The first certificate of the authority's has signed the server's; others are of
// authorities before it.
const (
	certificateField  = "tls.crt"
	keyField          = "tls.key"
	authorityField    = "ca.crt"
	authorityKeyField = "ca.key"
)

// How long certificates last. Each is made anew when a third of its time is left. An authority's end is seen by
// everybody at once, a server's by nobody: so the authority's is far away.
const (
	certificateLife = 90 * 24 * time.Hour
	authorityLife   = 10 * 365 * 24 * time.Hour
	// skew is how far behind a clock may be.
	skew = time.Hour
)

// identity is a certificate, and the authority that signs it and those after it.
type identity struct {
	data      map[string][]byte // as in the Secret
	serving   tls.Certificate
	authority authority
}

type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// errEmpty is of the Secret as the package makes it.
var errEmpty = errors.New("it is empty")

// parse reads the Secret. A certificate that nobody would accept for the host is an error.
func parse(data map[string][]byte, host string, now time.Time) (*identity, error) {
	if len(data[certificateField]) == 0 && len(data[authorityField]) == 0 {
		return nil, errEmpty
	}
	serving, err := tls.X509KeyPair(data[certificateField], data[keyField])
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", certificateField, keyField, err)
	}
	signer, err := tls.X509KeyPair(data[authorityField], data[authorityKeyField])
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", authorityField, authorityKeyField, err)
	}
	key, ok := signer.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: a %T is no ECDSA key", authorityKeyField, signer.PrivateKey)
	}
	roots := x509.NewCertPool()
	roots.AddCert(signer.Leaf)
	if _, err := serving.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, CurrentTime: now}); err != nil {
		return nil, fmt.Errorf("%s: %w", certificateField, err)
	}
	return &identity{data, serving, authority{signer.Leaf, key}}, nil
}

// due is when the certificate, or its authority, is made anew.
func (i *identity) due() time.Time {
	serving, signer := dueOf(i.serving.Leaf), dueOf(i.authority.certificate)
	if signer.Before(serving) {
		return signer
	}
	return serving
}

func dueOf(cert *x509.Certificate) time.Time {
	return cert.NotAfter.Add(-cert.NotAfter.Sub(cert.NotBefore) / 3)
}

// bundle is what the API server is to trust.
func (i *identity) bundle() []byte { return i.data[authorityField] }

// renew makes another certificate for the host; before is nil for the first. The authority stays while it lasts,
// so that the API server, which may not know another one yet, goes on trusting the server. An authority that
// has to be replaced is trusted until its end.
func renew(before *identity, host string, now time.Time) (*identity, error) {
	var signer authority
	var trusted, key []byte
	if before != nil && now.Before(dueOf(before.authority.certificate)) {
		signer, trusted, key = before.authority, before.data[authorityField], before.data[authorityKeyField]
	} else {
		var err error
		if signer, err = newAuthority(now); err != nil {
			return nil, err
		}
		if key, err = encodeKey(signer.key); err != nil {
			return nil, err
		}
		trusted = encode("CERTIFICATE", signer.certificate.Raw)
		if before != nil && now.Before(before.authority.certificate.NotAfter) {
			trusted = append(trusted, encode("CERTIFICATE", before.authority.certificate.Raw)...)
		}
	}
	serving, servingKey, err := signer.issue(host, now)
	if err != nil {
		return nil, err
	}
	return parse(map[string][]byte{
		certificateField: serving, keyField: servingKey, authorityField: trusted, authorityKeyField: key,
	}, host, now)
}

func newAuthority(now time.Time) (authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return authority{}, fmt.Errorf("make a key: %w", err)
	}
	template := &x509.Certificate{
		Subject:  pkix.Name{CommonName: "local-source-proxy-api-ca"},
		KeyUsage: x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
	}
	raw, err := sign(template, template, key, &key.PublicKey, now, authorityLife)
	if err != nil {
		return authority{}, err
	}
	cert, err := x509.ParseCertificate(raw)
	return authority{cert, key}, err
}

// issue makes a certificate for a host, and its key, in PEM.
func (a authority) issue(host string, now time.Time) (cert, key []byte, err error) {
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "local-source-proxy-api"}, DNSNames: []string{host},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	raw, err := sign(template, a.certificate, a.key, &own.PublicKey, now, certificateLife)
	if err != nil {
		return nil, nil, err
	}
	key, err = encodeKey(own)
	return encode("CERTIFICATE", raw), key, err
}

func sign(template, parent *x509.Certificate, key *ecdsa.PrivateKey, subject *ecdsa.PublicKey, now time.Time, life time.Duration) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	template.SerialNumber, template.NotBefore, template.NotAfter = serial, now.Add(-skew), now.Add(life)
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, subject, key)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	return raw, nil
}

func encode(kind string, raw []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode a key: %w", err)
	}
	return encode("PRIVATE KEY", raw), nil
}

// same reports whether two are the same in the Secret.
func (i *identity) same(other *identity) bool {
	return other != nil && bytes.Equal(i.data[certificateField], other.data[certificateField]) &&
		bytes.Equal(i.data[authorityField], other.data[authorityField])
}
