// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package ahead

import "net"

// readerOfTwo is not made here, where no server runs but that of who works on it.
func readerOfTwo(net.Conn) func(first, second []byte) (int, error) { return nil }
