// SPDX-License-Identifier: Apache-2.0

package dockerconfig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"github.com/docker/docker-credential-helpers/client"
	"github.com/docker/docker-credential-helpers/credentials"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
)

const (
	helperPrefix = "docker-credential-"
	tokenUser    = "<token>"       // a helper's user name when the secret is an identity token
	lingering    = 5 * time.Second // for a killed helper's children to let go of its output
)

// checkHelper refuses a name that would leave PATH: the config says which helper, not which file.
func checkHelper(name string) error {
	if strings.ContainsAny(name, `/\`) || strings.ContainsRune(name, 0) {
		return fmt.Errorf("credential helper %q: the name is what follows %q and cannot be a path",
			keychain.Text(name), helperPrefix)
	}
	return nil
}

// helperKeychain asks the program docker-credential-<name> in PATH. The host must be named as docker would
// name it.
func helperKeychain(place, name string) keychain.Keychain {
	return keychain.Func(func(ctx context.Context, server string) (keychain.Credential, error) {
		p := &program{ctx: ctx, name: helperPrefix + name}
		answer, err := client.Get(p.with, server)
		switch {
		case credentials.IsErrCredentialsNotFound(err):
			return keychain.Credential{}, nil
		case err != nil:
			return keychain.Credential{}, fmt.Errorf("docker config %s: ask %s for %s: %w", place, p.name, server, p.explain())
		case answer.Username == tokenUser:
			return keychain.Credential{IdentityToken: answer.Secret}, nil
		default:
			return keychain.Credential{Username: answer.Username, Password: answer.Secret}, nil
		}
	})
}

// program is a [client.Program] that ends with its context and keeps stderr, which the client's own would
// pass to ours.
type program struct {
	ctx            context.Context
	name           string
	arguments      []string
	input          io.Reader
	stdout, stderr bytes.Buffer
	err            error
}

func (p *program) with(arguments ...string) client.Program {
	p.arguments = arguments
	return p
}

func (p *program) Input(input io.Reader) { p.input = input }

func (p *program) Output() ([]byte, error) {
	command := exec.CommandContext(p.ctx, p.name, p.arguments...)
	command.Stdin, command.Stdout, command.Stderr = p.input, &p.stdout, &p.stderr
	command.WaitDelay = lingering
	p.err = command.Run()
	return p.stdout.Bytes(), p.err
}

// explain never shows stdout that could be an answer: that is where the secret is.
func (p *program) explain() error {
	switch {
	case errors.Is(p.err, exec.ErrNotFound):
		return errors.New("no such program in PATH: install it, or use a config that holds the credential itself")
	case context.Cause(p.ctx) != nil:
		return fmt.Errorf("gave up waiting: %w", context.Cause(p.ctx))
	case p.err == nil:
		return errors.New("its answer is not the JSON that the credential helper protocol wants: run it by hand with the argument get")
	}
	said := keychain.Text(p.stderr.String())
	if out := keychain.Text(p.stdout.String()); said == "" && !strings.ContainsAny(out, "{}") {
		said = out
	}
	if said == "" {
		said = "it says nothing"
	}
	return fmt.Errorf("%w: %s", p.err, said)
}
