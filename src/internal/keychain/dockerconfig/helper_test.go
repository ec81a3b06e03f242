// SPDX-License-Identifier: Apache-2.0

package dockerconfig

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
)

// installHelper puts docker-credential-<name> alone into PATH. It is a shell script that finds the registry's
// name in $server and appends it to the returned file.
func installHelper(t *testing.T, name, script string) (asked string) {
	t.Helper()
	dir := t.TempDir()
	asked = filepath.Join(dir, "asked")
	body := "#!/bin/sh\nserver=$(/bin/cat)\necho \"$1 $server\" >>" + asked + "\n" + script + "\n"
	if err := os.WriteFile(filepath.Join(dir, helperPrefix+name), []byte(body), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	return asked
}

func TestHelperAnswers(t *testing.T) {
	tests := []struct {
		name, script string
		want         keychain.Credential
	}{
		{"user and password", `echo '{"ServerURL": "x", "Username": "alice", "Secret": "a"}'`, keychain.Credential{Username: "alice", Password: "a"}},
		{"identity token", `echo '{"Username": "<token>", "Secret": "refresh"}'`, keychain.Credential{IdentityToken: "refresh"}},
		{"does not know", `echo "credentials not found in native keychain"; exit 1`, keychain.Credential{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			asked := installHelper(t, "test", test.script)
			c := mustParse(t, `{"credHelpers": {"https://R.example.com": "test"}}`)
			for range 3 {
				got, err := c.Credential(t.Context(), "r.example.com")
				if err != nil || got != test.want {
					t.Errorf("got %v, user %q, error %v", got, got.Username, err)
				}
			}
			log, err := os.ReadFile(asked)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff("get r.example.com\n", string(log)); diff != "" {
				t.Errorf("asked otherwise than once: %s", diff)
			}
		})
	}
}

func TestHelperOrder(t *testing.T) {
	const config = `{"auths": {
		"docker.io": {"registrytoken": "file"},
		"r.example.com": {"registrytoken": "file"},
		"r.example.com/team": {"registrytoken": "path"},
		"off.example.com": {"registrytoken": "file"}
	}, "credHelpers": {"off.example.com": "", "own.example.com": "test"}, "credsStore": "test"}`
	const script = `case $server in
		https://index.docker.io/v1/|r.example.com|own.example.com) echo '{"Username": "<token>", "Secret": "helper"}' ;;
		*) echo "credentials not found in native keychain"; exit 1 ;;
	esac`
	installHelper(t, "test", script)
	c := mustParse(t, config)
	tests := []struct{ name, host, repository, want string }{
		{"store before file, by docker's name for the host", "registry-1.docker.io", "", "helper"},
		{"path before store", "r.example.com", "team/app", "path"},
		{"store before whole host", "r.example.com", "other", "helper"},
		{"switched off for a host", "off.example.com", "", "file"},
		{"host's own", "own.example.com", "", "helper"},
		{"nobody", "unknown.example.com", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := c.Repository(test.repository).Credential(t.Context(), test.host)
			if err != nil || got.IdentityToken+got.RegistryToken != test.want {
				t.Errorf("got %q%q, error %v, want %q", got.IdentityToken, got.RegistryToken, err, test.want)
			}
		})
	}
}

func TestHelperFails(t *testing.T) {
	const where = "docker config test.json: ask docker-credential-test for r.example.com: "
	tests := []struct{ name, script, want string }{
		{"stderr", "echo 'pass is locked' >&2; echo more >&2; echo ignored; exit 3", where + "exit status 3: pass is locked"},
		{"stdout", "echo 'keychain is locked'; exit 1", where + "exit status 1: keychain is locked"},
		{"silent", "exit 1", where + "exit status 1: it says nothing"},
		{"answers, then fails", `echo '{"Secret": "hunter2"}'; exit 1`, where + "exit status 1: it says nothing"},
		{"not JSON", "echo hunter2", where + "its answer is not the JSON that the credential helper protocol wants: run it by hand with the argument get"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			installHelper(t, "test", test.script)
			_, err := mustParse(t, `{"credsStore": "test"}`).Credential(t.Context(), "r.example.com")
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(test.want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHelperIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := mustParse(t, `{"credsStore": "desktop"}`).Credential(t.Context(), "docker.io")
	const want = "docker config test.json: ask docker-credential-desktop for https://index.docker.io/v1/: no such program in PATH: install it, or use a config that holds the credential itself"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestHelperEndsWithItsContext(t *testing.T) {
	up := filepath.Join(t.TempDir(), "up")
	if err := syscall.Mkfifo(up, 0o600); err != nil {
		t.Fatal(err)
	}
	installHelper(t, "test", "echo >"+up+"; exec /bin/sleep 3600")
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("client is gone")
	go func() {
		if _, err := os.ReadFile(up); err != nil { // returns once the helper runs
			t.Error(err)
		}
		cancel(gone)
	}()
	_, err := helperKeychain("test.json", "test").Credential(ctx, "r.example.com")
	if !errors.Is(err, gone) || !strings.Contains(err.Error(), "gave up waiting") {
		t.Errorf("got error %v, want %v", err, gone)
	}
}
