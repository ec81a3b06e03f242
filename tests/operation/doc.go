// SPDX-License-Identifier: Apache-2.0

// Package operation proves what operators see: probes, metrics, logs, the end of the process, its commands,
// and what it says to bad input. It has no code of its own: only tests.
package operation
