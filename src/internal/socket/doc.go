// SPDX-License-Identifier: Apache-2.0

// Package socket bounds what the kernel holds of connections: it counts as the pod's memory, and nothing in Go
// sees it. It knows no protocol.
package socket
