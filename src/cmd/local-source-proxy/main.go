// SPDX-License-Identifier: Apache-2.0

// Command local-source-proxy lets developers push to their organisation's registry with nothing but a
// kubeconfig.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/local-source-proxy/local-source-proxy/src/internal/proxy/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(command.Run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
