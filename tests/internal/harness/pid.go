// SPDX-License-Identifier: Apache-2.0

package harness

// PID is the id of the process, for what /proc says about it.
func (p *Process) PID() int { return p.cmd.Process.Pid }
