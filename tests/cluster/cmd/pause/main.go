// SPDX-License-Identifier: Apache-2.0

// Command pause is what holds a pod's namespaces: it does nothing until it is told to end. The well-known
// image of it comes from a public registry, which a test must not need.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	<-end
}
