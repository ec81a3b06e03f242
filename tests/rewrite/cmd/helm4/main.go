// SPDX-License-Identifier: Apache-2.0

// Command helm4 is the real Helm 4, at the version that go.mod pins, beside the Helm 3 that go.mod has as a
// tool.
package main

import (
	"fmt"
	"os"

	helm "helm.sh/helm/v4/pkg/cmd"
)

func main() {
	cmd, err := helm.NewRootCmd(os.Stdout, os.Args[1:], helm.SetupLogging)
	if err == nil {
		err = cmd.Execute() // which prints its error
	} else {
		fmt.Fprintln(os.Stderr, err)
	}
	if err != nil {
		os.Exit(1)
	}
}
