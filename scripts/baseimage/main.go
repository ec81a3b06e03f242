// SPDX-License-Identifier: Apache-2.0

// Command baseimage writes the one layer of the server image's base, as a tar file on standard output.
//
// The layer holds the CA certificates that a static binary needs, and the user that it runs as, and nothing else: no shell, no
// package manager, nothing to patch. The certificates are Mozilla's, from golang.org/x/crypto/x509roots/fallback: its version is
// pinned by go.sum, so that the same commit gives the same bytes on every machine, whatever that machine itself trusts.
//
// A root that is trusted for some certificates only is left out: a PEM file cannot say which.
package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

const (
	passwd = "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"
	group  = "root:x:0:\nnonroot:x:65532:\n"
)

func main() {
	if err := write(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "baseimage:", err)
		os.Exit(1)
	}
}

func write(w io.Writer) error {
	certificates, err := roots()
	if err != nil {
		return err
	}
	archive := tar.NewWriter(w)
	for _, entry := range []struct {
		name    string
		content []byte
	}{
		{"etc/", nil},
		{"etc/group", []byte(group)},
		{"etc/passwd", []byte(passwd)},
		{"etc/ssl/", nil},
		{"etc/ssl/certs/", nil},
		{"etc/ssl/certs/ca-certificates.crt", certificates},
	} {
		header := &tar.Header{Name: entry.name, Mode: 0o644, Size: int64(len(entry.content)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
		if entry.content == nil {
			header.Typeflag, header.Mode = tar.TypeDir, 0o755
		}
		if err := archive.WriteHeader(header); err != nil {
			return fmt.Errorf("write header of %s: %w", entry.name, err)
		}
		if _, err := archive.Write(entry.content); err != nil {
			return fmt.Errorf("write %s: %w", entry.name, err)
		}
	}
	return archive.Close()
}

func roots() ([]byte, error) {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		if err := pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			return nil, fmt.Errorf("encode a root certificate: %w", err)
		}
	}
	if out.Len() == 0 {
		return nil, fmt.Errorf("the certificate bundle is empty")
	}
	return out.Bytes(), nil
}
