// SPDX-License-Identifier: Apache-2.0

// Command kubectl-lsp is the developer's side of Local Source Proxy, used as "kubectl lsp".
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/command"
)

// completionName is what kubectl calls to complete "kubectl lsp ..." (kubectl's documentation, "Extend
// kubectl with plugins").
const completionName = "kubectl_complete-lsp"

func main() {
	log.SetOutput(io.Discard) // libraries' words: what matters of them is an error, and told as one
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process as usual
	args := os.Args[1:]
	if strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe") == completionName {
		args = append([]string{cobra.ShellCompRequestCmd}, args...)
	}
	os.Exit(command.Run(ctx, args, os.Stdin, os.Stdout, os.Stderr))
}
