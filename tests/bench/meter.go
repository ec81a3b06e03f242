// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// clockTicks a second: the unit of CPU times in /proc, fixed for user space (proc(5), USER_HZ).
const clockTicks = 100

// Meter reads what a process and its children use, from /proc (proc(5)).
type Meter struct {
	PID int
	// Alone leaves the children out.
	Alone bool
}

// Usage is what processes used.
type Usage struct {
	// Resident is the memory now, Peak the most since [Meter.Reset], in bytes.
	Resident, Peak int64
	// CPU is the time since the start.
	CPU time.Duration
}

// Reset makes the peak start again from what is resident now.
func (m *Meter) Reset() error {
	for _, pid := range m.family() {
		// "5" resets VmHWM (proc_pid_clear_refs(5)).
		if err := os.WriteFile(filepath.Join("/proc", pid, "clear_refs"), []byte("5"), 0); err != nil {
			return fmt.Errorf("reset the peak of memory: %w", err)
		}
	}
	return nil
}

// Read gives what is used, children included.
func (m *Meter) Read() (Usage, error) {
	var all Usage
	for _, pid := range m.family() {
		status, err := os.ReadFile(filepath.Join("/proc", pid, "status"))
		if err != nil {
			return Usage{}, fmt.Errorf("read memory: %w", err)
		}
		stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
		if err != nil {
			return Usage{}, fmt.Errorf("read CPU time: %w", err)
		}
		one, err := parseUsage(string(status), string(stat))
		if err != nil {
			return Usage{}, err
		}
		all.Resident += one.Resident
		all.Peak += one.Peak
		all.CPU += one.CPU
	}
	return all, nil
}

// family is the process and its direct children.
func (m *Meter) family() []string {
	pid := strconv.Itoa(m.PID)
	if m.Alone {
		return []string{pid}
	}
	// Without the list (CONFIG_PROC_CHILDREN) there is the process alone.
	children, _ := os.ReadFile(filepath.Join("/proc", pid, "task", pid, "children"))
	return append([]string{pid}, strings.Fields(string(children))...)
}

func parseUsage(status, stat string) (Usage, error) {
	var usage Usage
	for line := range strings.Lines(status) {
		key, value, _ := strings.Cut(line, ":")
		var target *int64
		switch key {
		case "VmRSS":
			target = &usage.Resident
		case "VmHWM":
			target = &usage.Peak
		default:
			continue
		}
		number, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return Usage{}, fmt.Errorf("read %s of /proc/PID/status: %w", key, err)
		}
		*target = number * kib
	}
	// The name is in parentheses and may hold anything; utime and stime are the 12th and 13th field behind
	// it.
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 || usage.Peak == 0 {
		return Usage{}, fmt.Errorf("read /proc/PID: %d fields in stat, peak %d", len(fields), usage.Peak)
	}
	for _, field := range fields[11:13] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return Usage{}, fmt.Errorf("read CPU time of /proc/PID/stat: %w", err)
		}
		usage.CPU += time.Duration(ticks) * time.Second / clockTicks
	}
	return usage, nil
}
