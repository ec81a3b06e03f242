// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// limits are a pod's, as the package renders them.
type limits struct {
	// memory in bytes, milliCPU in thousandths of a processor.
	memory, milliCPU int64
}

// The package's defaults (config/values-schema.yml). TestLimits compares them with what it renders.
func sourceLimits() limits { return limits{memory: 100 << 20, milliCPU: 500} }
func imagesLimits() limits { return limits{memory: 128 << 20, milliCPU: 500} }

// environment is what the package sets from the limits (config/workload.lib.yml). Processors are rounded up.
func (l limits) environment() []string {
	return []string{
		fmt.Sprintf("POD_MEMORY_LIMIT=%d", l.memory),
		fmt.Sprintf("GOMAXPROCS=%d", (l.milliCPU+999)/1000),
	}
}

const (
	mount = "/sys/fs/cgroup"
	// cpuPeriod in microseconds is the kubelet's.
	cpuPeriod = 100_000
)

// cgroup holds one process to the limits of a pod. Version 1 has a directory for each controller.
type cgroup struct {
	memory, cpu string
	two         bool
}

// newCgroup makes one, whose processor time nobody else on the machine uses up, and removes it
// with the test, behind the process in it.
func newCgroup(t testing.TB, limits limits) *cgroup {
	t.Helper()
	group, err := makeCgroup(fmt.Sprintf("lsp-attack-%d-%d", os.Getpid(), len(t.Name())), limits)
	t.Cleanup(func() {
		if err := group.remove(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return group
}

func makeCgroup(name string, limits limits) (*cgroup, error) {
	group := &cgroup{}
	quota := strconv.FormatInt(limits.milliCPU*cpuPeriod/1000, 10)
	memory := strconv.FormatInt(limits.memory, 10)
	var settings []setting
	if _, err := os.Stat(filepath.Join(mount, "cgroup.controllers")); err == nil {
		parent, err := os.MkdirTemp(mount, name+"-")
		if err != nil {
			return group, fmt.Errorf("make a cgroup: %w", err)
		}
		group.memory, group.cpu, group.two = parent, parent, true
		settings = []setting{
			{parent, "memory.max", memory}, {parent, "memory.swap.max", "0"},
			{parent, "cpu.max", quota + " " + strconv.Itoa(cpuPeriod)}, {parent, "cpu.weight", "10000"},
		}
	} else {
		var errs [2]error
		group.memory, errs[0] = os.MkdirTemp(own("memory"), name+"-")
		group.cpu, errs[1] = os.MkdirTemp(own("cpu"), name+"-")
		if err := errors.Join(errs[:]...); err != nil {
			return group, fmt.Errorf("make a cgroup: %w", err)
		}
		settings = []setting{
			{group.memory, "memory.limit_in_bytes", memory},
			// Without it, what sockets hold is not counted.
			{group.memory, "memory.kmem.tcp.limit_in_bytes", memory},
			{group.cpu, "cpu.cfs_period_us", strconv.Itoa(cpuPeriod)},
			{group.cpu, "cpu.cfs_quota_us", quota}, {group.cpu, "cpu.shares", "262144"},
		}
	}
	for _, one := range settings {
		if err := one.write(); err != nil {
			return group, err
		}
	}
	return group, nil
}

type setting struct{ dir, file, value string }

func (s setting) write() error {
	err := os.WriteFile(filepath.Join(s.dir, s.file), []byte(s.value), 0)
	if s.file == "memory.swap.max" && errors.Is(err, os.ErrNotExist) {
		return nil // a kernel without swap
	}
	if err != nil {
		return fmt.Errorf("limit a cgroup: %w", err)
	}
	return nil
}

// own is the directory that this process has in a controller's hierarchy of version 1.
func own(controller string) string {
	top := filepath.Join(mount, controller)
	lines, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return top
	}
	for line := range strings.Lines(string(lines)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) == 3 && fields[1] == controller {
			// In a container the path may be that of the host.
			if dir := filepath.Join(top, fields[2]); exists(dir) {
				return dir
			}
		}
	}
	return top
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// missing says why this machine can hold no process to limits; empty: it can.
func missing() string {
	if os.Geteuid() != 0 {
		return "cgroups need root"
	}
	group, err := makeCgroup(fmt.Sprintf("lsp-attack-%d", os.Getpid()), sourceLimits())
	if err = errors.Join(err, group.remove()); err != nil {
		return err.Error()
	}
	return ""
}

func (c *cgroup) remove() error {
	var errs []error
	for _, dir := range []string{c.memory, c.cpu} {
		if dir != "" && exists(dir) {
			errs = append(errs, os.Remove(dir))
		}
	}
	return errors.Join(errs...)
}

// hold makes the command start in the cgroup.
func (c *cgroup) hold(cmd *exec.Cmd) {
	const enter = `echo $$ >"$0"/cgroup.procs && echo $$ >"$1"/cgroup.procs && shift && exec "$@"`
	cmd.Args = append([]string{"sh", "-c", enter, c.memory, c.cpu, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
}

// use is memory in bytes, and how much of it the kernel holds for sockets.
type use struct{ all, sockets int64 }

// now is what is used. Version 1 counts sockets apart; here they are added, as clusters with version 2 do.
func (c *cgroup) now() (use, error) {
	if c.two {
		all, err := c.number("memory.current", "")
		sockets, err2 := c.number("memory.stat", "sock")
		return use{all, sockets}, errors.Join(err, err2)
	}
	all, err := c.number("memory.usage_in_bytes", "")
	sockets, err2 := c.number("memory.kmem.tcp.usage_in_bytes", "")
	return use{all + sockets, sockets}, errors.Join(err, err2)
}

// peak is the most memory that was used so far, in bytes; of version 1 without sockets.
func (c *cgroup) peak() (int64, error) {
	if c.two {
		return c.number("memory.peak", "")
	}
	return c.number("memory.max_usage_in_bytes", "")
}

// kills is how often the kernel ended a process for want of memory.
func (c *cgroup) kills() (int64, error) {
	if c.two {
		return c.number("memory.events", "oom_kill")
	}
	return c.number("memory.oom_control", "oom_kill")
}

// number reads a file with one number, or with one after each key.
func (c *cgroup) number(file, key string) (int64, error) {
	content, err := os.ReadFile(filepath.Join(c.memory, file))
	if err != nil {
		return 0, fmt.Errorf("read a cgroup: %w", err)
	}
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		if key == "" || len(fields) == 2 && fields[0] == key {
			return strconv.ParseInt(fields[len(fields)-1], 10, 64)
		}
	}
	return 0, fmt.Errorf("read a cgroup: %s has no %s", file, key)
}
