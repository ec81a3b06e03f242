// SPDX-License-Identifier: Apache-2.0

package strictyaml

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// CheckCABundle reports each PEM block that is not a certificate. Text between the blocks is a comment, as in
// the bundles of operating systems.
func CheckCABundle(place, key, bundle string) error {
	if strings.TrimSpace(bundle) == "" {
		return nil
	}
	// The blocks are cut by their first line before they are decoded: pem.Decode passes over what it cannot
	// read.
	const begin = "-----BEGIN "
	_, rest, found := strings.Cut(bundle, begin)
	if !found {
		return &Error{Place: place, Key: key, Problem: "holds no PEM certificate",
			Remedy: "paste certificates that begin with -----BEGIN CERTIFICATE-----"}
	}
	var errs []error
	for i, body := range strings.Split(rest, begin) {
		fail := func(problem, remedy string) {
			errs = append(errs,
				&Error{Place: place, Key: key, Problem: fmt.Sprintf("PEM block %d %s", i+1, problem), Remedy: remedy})
		}
		block, _ := pem.Decode([]byte(begin + body))
		switch {
		case block == nil:
			fail("is incomplete or malformed", "paste it again, with its BEGIN and END lines and without indentation")
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			fail("is a private key", "remove it from here, and consider it no longer private")
		case block.Type != "CERTIFICATE":
			fail("is not a certificate", "remove it")
		default:
			if _, err := x509.ParseCertificate(block.Bytes); err != nil {
				fail("is not a readable certificate ("+err.Error()+")", "paste it again or remove it")
			}
		}
	}
	return errors.Join(errs...)
}

// JoinCABundles puts one bundle after the other, each ending with a new line.
func JoinCABundles(bundles ...string) string {
	var joined strings.Builder
	for _, bundle := range bundles {
		if trimmed := strings.TrimSpace(bundle); trimmed != "" {
			joined.WriteString(trimmed + "\n")
		}
	}
	return joined.String()
}
