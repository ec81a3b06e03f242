// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package socket

import "net"

// boundUnsent is for pods, which run on Linux.
func boundUnsent(net.Conn, int) {}
