// SPDX-License-Identifier: Apache-2.0

// Command kubectl is the real one, at the version that go.mod pins: Debian's may be too old for
// kustomizations of today.
package main

import (
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
)

func main() {
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err)
	}
}
