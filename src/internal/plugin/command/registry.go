// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/push"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/registry"
)

const (
	headerTimeout = 10 * time.Second
	// stopTimeout is how long pushes through the tunnel may go on after Ctrl-C.
	stopTimeout = 3 * time.Second
)

func newRegistry(a *app) *cobra.Command {
	port := 5001
	var quiet bool
	cmd := &cobra.Command{
		Use:   "registry",
		Short: "Open a registry on this machine that leads to the proxy, until Ctrl-C",
		Long: `Open a registry on this machine that leads to the proxy, until Ctrl-C. Everything that can push to a registry can push to
localhost:<port>/source:<tag> then, without any registry credential. Whoever can reach the port acts as you: it listens on
loopback only, and refuses web pages. The address is printed on standard output once it works.`,
		Example: `  kubectl lsp registry --port 5001 &
  docker push localhost:5001/source:my-app
  crane push image.tar localhost:5001/source:my-app
  KO_DOCKER_REPO=localhost:5001/source ko build --bare .`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if port < 0 || port > 65535 {
				return usageError{fmt.Errorf("--port %d: choose one from 0 (any) to 65535", port)}
			}
			return a.registry(cmd.Context(), port, quiet)
		},
	}
	cmd.Flags().IntVar(&port, "port", port, "port on 127.0.0.1; 0 takes any that is free")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "do not show the requests")
	return cmd
}

func (a *app) registry(ctx context.Context, port int, quiet bool) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	defer client.CloseIdle()
	repository, err := push.Preflight(ctx, client, push.Options{Notify: a.notify(quiet)})
	if err != nil {
		return err
	}
	var conf net.ListenConfig
	listener, err := conf.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("port %d is taken; choose another with --port, 0 takes any", port)
	}
	if err != nil {
		return fmt.Errorf("listen on port %d: %w", port, err)
	}
	address := "localhost:" + strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	fmt.Fprintln(a.out, address+"/source")
	if !quiet {
		a.say("Push to %s/source:TAG; it arrives in %s. Ctrl-C ends this.", address, repository)
	}
	log := slog.New(slog.DiscardHandler)
	if !quiet {
		log = slog.New(&lines{w: a.errOut})
	}
	server := &http.Server{Handler: registry.New(client, log), ReadHeaderTimeout: headerTimeout}
	stopped := make(chan struct{})
	unregister := context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close() // what is still pushing has had its time
		}
	})
	err = server.Serve(listener)
	if !unregister() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve on %s: %w", address, err)
}
