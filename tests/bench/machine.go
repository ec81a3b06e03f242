// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

// Machine is where a report was taken.
type Machine struct {
	CPU   string `json:"cpu"`
	Cores int    `json:"cores"`
	// Kernel is its name and release.
	Kernel string `json:"kernel"`
	// Storage is what holds the registry's blobs: memory, or a disk.
	Storage string `json:"storage"`
}

// String is one line about it.
func (m Machine) String() string { return fmt.Sprintf("%d cores of %s, %s", m.Cores, m.CPU, m.Kernel) }

func machine(storage string) Machine {
	m := Machine{CPU: runtime.GOARCH, Cores: runtime.NumCPU(), Kernel: runtime.GOOS, Storage: storage}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = "Linux " + strings.TrimSpace(string(release))
	}
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	return m
}

// versions asks the programs what they are.
func versions(t testing.TB, server, registry, nginx string) map[string]string {
	t.Helper()
	all := map[string]string{
		"Go":                 strings.TrimPrefix(runtime.Version(), "go"),
		"local-source-proxy": strings.TrimPrefix(firstLine(t, server, "version"), "local-source-proxy "),
		"distribution":       lastField(firstLine(t, registry, "--version")),
	}
	if nginx != "" {
		all["nginx"] = strings.TrimPrefix(firstLine(t, nginx, "-v"), "nginx version: nginx/")
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == "github.com/google/go-containerregistry" {
				all["go-containerregistry"] = module.Version
			}
		}
	}
	return all
}

func firstLine(t testing.TB, program string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ask %s for its version: %v: %s", program, err, out)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

// lastField of "PROGRAM MODULE VERSION+unknown", as a registry that was built from its module says it.
func lastField(line string) string {
	fields := strings.Fields(line)
	version, _, _ := strings.Cut(fields[len(fields)-1], "+")
	return version
}
