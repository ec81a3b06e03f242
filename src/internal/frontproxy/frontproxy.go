// SPDX-License-Identifier: Apache-2.0

package frontproxy

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// The keys of the ConfigMap kube-system/extension-apiserver-authentication, in which the API server says how
// it shows itself. The values but the first are JSON lists of strings.
const (
	caKey     = "requestheader-client-ca-file"
	namesKey  = "requestheader-allowed-names"
	usersKey  = "requestheader-username-headers"
	groupsKey = "requestheader-group-headers"
)

// Verifier knows the API server by its certificate. It does not change.
type Verifier struct {
	cas           *x509.CertPool
	names         []string // of the certificate's subject; none: any
	users, groups []string // headers
}

// User is who sends a request, by the API server's word.
type User struct {
	Name string
	// Groups is how many groups the user is in.
	Groups int
}

// Parse reads the data of the ConfigMap. An API server without an aggregation layer has none of its keys.
func Parse(data map[string]string) (*Verifier, error) {
	v := &Verifier{cas: x509.NewCertPool()}
	if !v.cas.AppendCertsFromPEM([]byte(data[caKey])) {
		return nil, fmt.Errorf("%q has no certificate: the API server's aggregation layer is not set up (--requestheader-client-ca-file)", caKey)
	}
	err := errors.Join(list(data, namesKey, &v.names), list(data, usersKey, &v.users), list(data, groupsKey, &v.groups))
	if err != nil {
		return nil, err
	}
	if len(v.users) == 0 {
		return nil, fmt.Errorf("%q names no header: the API server could not say who a user is", usersKey)
	}
	return v, nil
}

func list(data map[string]string, key string, into *[]string) error {
	if data[key] == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(data[key]), into); err != nil {
		return fmt.Errorf("%q is no JSON list of strings: %w", key, err)
	}
	return nil
}

// The reasons why a request is nobody's.
var (
	errNoCertificate = errors.New("the client shows no certificate")
	errOtherName     = errors.New("the client's certificate has another name than the API server's")
	errNoUser        = errors.New("the API server names no user")
)

// Authenticate returns the user of a request that the API server has forwarded.
func (v *Verifier) Authenticate(r *http.Request) (User, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return User{}, errNoCertificate
	}
	shown := r.TLS.PeerCertificates[0]
	between := x509.NewCertPool()
	for _, each := range r.TLS.PeerCertificates[1:] {
		between.AddCert(each)
	}
	if _, err := shown.Verify(x509.VerifyOptions{
		Roots: v.cas, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}); err != nil {
		return User{}, fmt.Errorf("the client's certificate is not the API server's: %w", err)
	}
	if len(v.names) > 0 && !slices.Contains(v.names, shown.Subject.CommonName) {
		return User{}, errOtherName
	}
	for _, header := range v.users {
		if name := strings.TrimSpace(r.Header.Get(header)); name != "" {
			return User{Name: name, Groups: v.countGroups(r)}, nil
		}
	}
	return User{}, errNoUser
}

func (v *Verifier) countGroups(r *http.Request) (groups int) {
	for _, header := range v.groups {
		groups += len(r.Header.Values(header))
	}
	return groups
}
