// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"io/fs"
	"strings"

	"github.com/spf13/pflag"

	"github.com/local-source-proxy/local-source-proxy/src/internal/proxy"
)

// served returns the settings' sources that the server of this container was given: its first process is the
// server, and root is the container's file system. It returns false without one.
func served(root fs.FS) (proxy.Sources, bool) {
	var sources proxy.Sources
	line, err := fs.ReadFile(root, "proc/1/cmdline")
	if err != nil {
		return sources, false
	}
	arguments := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	if len(arguments) < 2 || !strings.HasSuffix(arguments[0], "local-source-proxy") || arguments[1] != "serve" {
		return sources, false
	}
	command := serveCommand(io.Discard)
	if command.Flags().Parse(arguments[2:]) != nil {
		return sources, false
	}
	flags := pflag.NewFlagSet("served", pflag.ContinueOnError)
	settingsFlags(flags, &sources)
	flags.VisitAll(func(f *pflag.Flag) {
		if given := command.Flags().Lookup(f.Name); given != nil {
			_ = f.Value.Set(given.Value.String()) // both are strings
		}
	})
	return sources, true
}

// given reports whether any of the settings' flags was passed.
func given(flags *pflag.FlagSet) bool {
	names, found := pflag.NewFlagSet("settings", pflag.ContinueOnError), false
	settingsFlags(names, new(proxy.Sources))
	names.VisitAll(func(f *pflag.Flag) { found = found || flags.Changed(f.Name) })
	return found
}
