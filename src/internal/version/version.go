// SPDX-License-Identifier: Apache-2.0

package version

import (
	"runtime/debug"
	"strings"
)

// stamp is "VERSION@COMMIT"; only the linker sets it (-X).
var stamp string

// Info describes a build.
type Info struct {
	// Version is a semantic version without "v" (0.3.0), or "devel" when the build has none.
	Version string
	// Commit is the Git commit, with "-dirty" behind it when the tree had changes; empty when it is not
	// known.
	Commit string
	// Go is the toolchain's version (go1.26.1).
	Go string
}

// Get returns the description of the running build.
func Get() Info {
	build, _ := debug.ReadBuildInfo()
	return describe(stamp, build)
}

// String returns one line for people: "0.3.0 (commit 1234abcd, go1.26.1)".
func (i Info) String() string {
	var details []string
	if i.Commit != "" {
		details = append(details, "commit "+i.Commit)
	}
	if i.Go != "" {
		details = append(details, i.Go)
	}
	if len(details) == 0 {
		return i.Version
	}
	return i.Version + " (" + strings.Join(details, ", ") + ")"
}

func describe(stamp string, build *debug.BuildInfo) Info {
	var info Info
	if build != nil {
		info = fromBuild(build)
	}
	if version, commit, ok := strings.Cut(stamp, "@"); ok {
		info.Version, info.Commit = version, commit
	}
	if info.Version == "" {
		info.Version = "devel"
	}
	return info
}

func fromBuild(build *debug.BuildInfo) Info {
	info := Info{Go: build.GoVersion}
	if version := build.Main.Version; version != "(devel)" {
		info.Version = strings.TrimPrefix(version, "v")
	}
	var dirty bool
	for _, setting := range build.Settings {
		switch setting.Key {
		case "vcs.revision":
			info.Commit = setting.Value
		case "vcs.modified":
			dirty = setting.Value == "true"
		}
	}
	if info.Commit != "" && dirty {
		info.Commit += "-dirty"
	}
	return info
}
