// SPDX-License-Identifier: Apache-2.0

// Package socket bounds what a connection may cost whose other side does not read: what the kernel holds of it,
// which counts as the pod's memory and which nothing in Go sees, and how long a write waits. It knows no protocol.
package socket
