// SPDX-License-Identifier: Apache-2.0

package command

import (
	"io"
	"io/fs"
	"strings"

	"github.com/spf13/pflag"

	"github.com/local-source-proxy/local-source-proxy/src/internal/proxy"
)

// served returns what the server of this container was given: its first process is the server, and root is
// the container's file system. It returns false without one.
func served(root fs.FS) (proxy.Checks, bool) {
	var cfg proxy.Config
	line, err := fs.ReadFile(root, "proc/1/cmdline")
	if err != nil {
		return proxy.Checks{}, false
	}
	arguments := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	if len(arguments) < 2 || !strings.HasSuffix(arguments[0], "local-source-proxy") || arguments[1] != "serve" {
		return proxy.Checks{}, false
	}
	if serveWith(io.Discard, &cfg).Flags().Parse(arguments[2:]) != nil {
		return proxy.Checks{}, false
	}
	return proxy.Checks{
		Push: cfg.ListenAddress != "", Sources: cfg.Sources,
		Images: cfg.Images.Address != "", ImagesDir: cfg.Images.Dir,
	}, true
}

// given reports whether any of the settings' flags was passed.
func given(flags *pflag.FlagSet) bool {
	names, found := pflag.NewFlagSet("settings", pflag.ContinueOnError), false
	settingsFlags(names, new(proxy.Sources))
	names.VisitAll(func(f *pflag.Flag) { found = found || flags.Changed(f.Name) })
	return found
}
