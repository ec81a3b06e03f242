// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"os/exec"
	"syscall"
)

// endWithParent makes the kernel end the child when a test binary dies without cleaning up (its time-out
// panics).
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
