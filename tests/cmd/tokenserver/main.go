// SPDX-License-Identifier: Apache-2.0

// Command tokenserver serves registry tokens for one user on loopback. The demo starts it beside a registry.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/tokenserver"
)

// errUsage is a command line that cannot be meant.
var errUsage = errors.New("usage")

type options struct {
	listen, user, passwordFile, certOut, service, issuer, grant, algorithm string
	expiresIn                                                              time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "tokenserver:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "tokenserver:", err)
		os.Exit(1)
	}
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("tokenserver", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.listen, "listen", "127.0.0.1:0", "address to serve on; port 0 takes a free one")
	flags.StringVar(&o.user, "user", "", "the account's name")
	flags.StringVar(&o.passwordFile, "password-file", "", "file with the account's password")
	flags.StringVar(&o.grant, "grant", "repository:*:pull,push", "what the account may do; a name may end in *")
	flags.StringVar(&o.certOut, "cert-out", "", "file to write the signing certificate to (the registry's rootcertbundle)")
	flags.StringVar(&o.service, "service", "registry", "the registry's service name")
	flags.StringVar(&o.issuer, "issuer", "tokenserver", "issuer in the tokens")
	flags.StringVar(&o.algorithm, "algorithm", "ES256", "ES256 or RS256")
	flags.DurationVar(&o.expiresIn, "expires-in", 5*time.Minute, "how long a token lives")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return options{}, err
		}
		return options{}, fmt.Errorf("%w: %w", errUsage, err)
	}
	switch {
	case flags.NArg() > 0:
		return options{}, fmt.Errorf("%w: unexpected argument %q", errUsage, flags.Arg(0))
	case o.user == "", o.passwordFile == "", o.certOut == "":
		return options{}, fmt.Errorf("%w: --user, --password-file and --cert-out are needed", errUsage)
	}
	return o, nil
}

// run serves until ctx ends. Its one line on stdout is the realm, written once the address is taken.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	password, err := os.ReadFile(o.passwordFile)
	if err != nil {
		return fmt.Errorf("read the password: %w", err)
	}
	right, err := tokenserver.ParseScope(o.grant)
	if err != nil {
		return fmt.Errorf("%w: --grant: %w", errUsage, err)
	}
	server, err := tokenserver.New(tokenserver.Config{
		Service:   o.service,
		Issuer:    o.issuer,
		Algorithm: o.algorithm,
		ExpiresIn: o.expiresIn,
		Users: map[string]tokenserver.User{
			o.user: {Password: strings.TrimRight(string(password), "\r\n"), Rights: []tokenserver.Scope{right}},
		},
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(o.certOut, server.CertPEM(), 0o600); err != nil {
		return fmt.Errorf("write the signing certificate: %w", err)
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", o.listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	web := &http.Server{Handler: server, ReadHeaderTimeout: 10 * time.Second}
	stopped := context.AfterFunc(ctx, func() { _ = web.Close() })
	defer stopped()
	fmt.Fprintf(stdout, "http://%s/token\n", listener.Addr())
	if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}
