// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
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

// registryOptions are those of "registry".
type registryOptions struct {
	*app
	port  int
	quiet bool
}

func newRegistry(a *app) *cobra.Command {
	o := &registryOptions{app: a}
	cmd := &cobra.Command{
		Use:   "registry",
		Short: "Open a registry on this machine that leads to the proxy, until Ctrl-C",
		Long: `Open a registry on this machine that leads to the proxy, until Ctrl-C.

Every tool that pushes to a registry can then push to localhost:<port>/source:<tag>, without a registry
credential. The command prints the address on standard output once the registry works. Through the namespaced
API, they push for the namespace of -n or of the context.

Whoever reaches the port acts as you. The registry listens on loopback only, and refuses requests of web
pages.`,
		Example: `  kubectl lsp registry --port 5001 &
  docker push localhost:5001/source:my-app
  crane push image.tar localhost:5001/source:my-app
  KO_DOCKER_REPO=localhost:5001/source ko build --bare .`,
		Args: exactly(),
		RunE: runVerb(o),
	}
	cmd.Flags().IntVar(&o.port, "port", 5001, "port on 127.0.0.1; 0 takes any that is free")
	a.addVia(cmd)
	cmd.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "do not show the requests")
	return cmd
}

func (o *registryOptions) validate(*cobra.Command, []string) error {
	if o.port < 0 || o.port > 65535 {
		return usageError{fmt.Errorf("--port %d: choose one from 0 (any) to 65535", o.port)}
	}
	return nil
}

func (o *registryOptions) run(ctx context.Context) error {
	client, err := o.client(o.quiet)
	if err != nil {
		return err
	}
	defer client.CloseIdle()
	proxy, err := push.Preflight(ctx, client, push.Options{Notify: o.notify(o.quiet)})
	if err != nil {
		return err
	}
	listener, err := o.listen(ctx)
	if err != nil {
		return err
	}
	address := "localhost:" + strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	fmt.Fprintln(o.out, address+"/source")
	if !o.quiet {
		o.say("Push to %s/source:TAG; it arrives in %s. Press Ctrl-C to end.", address, proxy.Target)
	}
	return o.serve(ctx, listener, &http.Server{
		Handler: registry.New(client, o.notify(o.quiet)), ReadHeaderTimeout: headerTimeout,
	})
}

func (o *registryOptions) listen(ctx context.Context) (net.Listener, error) {
	var conf net.ListenConfig
	listener, err := conf.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(o.port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("port %d is taken; choose another with --port, 0 takes any", o.port)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on port %d: %w", o.port, err)
	}
	return listener, nil
}

// serve ends when ctx does. That is how a registry ends well, unless it had to cut a request off.
func (o *registryOptions) serve(ctx context.Context, listener net.Listener, server *http.Server) error {
	var requests sync.WaitGroup
	handler := server.Handler
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		defer requests.Done()
		handler.ServeHTTP(w, r)
	})
	stopped := make(chan struct{})
	var cut error
	unregister := context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		if cut = server.Shutdown(grace); cut != nil {
			_ = server.Close() // what is still pushing has had its time
			requests.Wait()
		}
	})
	err := server.Serve(listener)
	if !unregister() {
		<-stopped
	}
	switch {
	case !errors.Is(err, http.ErrServerClosed):
		return fmt.Errorf("serve on %s: %w", listener.Addr(), err)
	case cut != nil:
		o.say("kubectl lsp: interrupted; requests that did not end within %s were cut off", stopTimeout)
		return silent{}
	default:
		return nil
	}
}
