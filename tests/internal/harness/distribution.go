// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// Distribution is a registry of the distribution project, to be started. The zero value has no authentication
// and speaks plain HTTP on a free port.
type Distribution struct {
	// Program is the registry's binary.
	Program string
	// Basic demands [Username] and [Password] by htpasswd.
	Basic bool
	// Token is the auth.token section of its configuration; nil: none.
	Token map[string]any
	// TLS serves with this certificate; nil: plain HTTP.
	TLS *Certificates
	// Proxy is the proxy section of its configuration, which makes it a pull-through cache; nil: none.
	Proxy map[string]any
	// Address is where to listen; empty: a free port on loopback.
	Address string
	// Dir holds the blobs; empty: a directory that is removed with the test.
	Dir string
	// InMemory keeps blobs in the process instead: many small requests then wait for no disk.
	InMemory bool
	// Environment is added to the process's.
	Environment []string

	htpasswd string
}

// Start starts the registry and waits until it listens.
func (d Distribution) Start(t testing.TB) *Registry {
	t.Helper()
	if d.Dir == "" {
		d.Dir = t.TempDir()
	}
	config, err := json.Marshal(d.config(t))
	if err != nil {
		t.Fatal(err)
	}
	file := WriteFile(t, filepath.Join(t.TempDir(), "config.yml"), config)
	cmd := exec.Command(d.Program, "serve", file)
	cmd.Env = append(cmd.Environ(), "OTEL_TRACES_EXPORTER=none")
	cmd.Env = append(cmd.Env, d.Environment...)
	registry := &Registry{Process: StartProcess(t, "registry", cmd)}
	if d.Basic {
		registry.Username, registry.Password, registry.htpasswd = Username, Password, d.htpasswd
	}
	if d.TLS != nil {
		registry.CA = d.TLS.CA
	}
	registry.Process.await(t, "listen", func(context.Context) error {
		_, rest, found := strings.Cut(registry.Process.Stderr.String()+registry.Process.Stdout.String(), "listening on ")
		address, _, ended := strings.Cut(rest, `"`)
		address, _, _ = strings.Cut(address, ",")
		if !found || !ended {
			return errors.New("no line with its address yet")
		}
		registry.Host = address
		return nil
	})
	return registry
}

func (d *Distribution) config(t testing.TB) map[string]any {
	t.Helper()
	address := d.Address
	if address == "" {
		address = "127.0.0.1:0"
	}
	http := map[string]any{"addr": address, "secret": "state of uploads"}
	if d.TLS != nil {
		http["tls"] = map[string]any{"certificate": d.TLS.CertFile, "key": d.TLS.KeyFile}
	}
	config := map[string]any{
		"version": 0.1,
		"log":     map[string]any{"level": "info", "formatter": "text"},
		"http":    http,
		"storage": map[string]any{
			"filesystem": map[string]any{"rootdirectory": d.Dir},
			"delete":     map[string]any{"enabled": true},
		},
	}
	if d.InMemory {
		config["storage"] = map[string]any{"inmemory": map[string]any{}, "delete": map[string]any{"enabled": true}}
	}
	if d.Proxy != nil {
		config["proxy"] = d.Proxy
	}
	switch {
	case d.Basic:
		d.htpasswd = filepath.Join(t.TempDir(), "htpasswd")
		writeHtpasswd(t, d.htpasswd, Password)
		config["auth"] = map[string]any{"htpasswd": map[string]any{"realm": "registry of a test", "path": d.htpasswd}}
	case d.Token != nil:
		config["auth"] = map[string]any{"token": d.Token}
	}
	return config
}

func writeHtpasswd(t testing.TB, file, password string) {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	WriteFile(t, file, []byte(Username+":"+string(hash)+"\n"))
}

// SetPassword changes the operator's password on a registry with htpasswd, which reads its file again when
// that changes.
func (r *Registry) SetPassword(t testing.TB, password string) {
	t.Helper()
	if r.htpasswd == "" {
		t.Fatal("the registry has no htpasswd")
	}
	writeHtpasswd(t, r.htpasswd, password)
	r.Password = password
}
