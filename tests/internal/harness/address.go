// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// Ports that Linux hands out to nobody who asks for any: those begin at 32768 (ip_local_port_range).
const (
	firstPort = 15_000
	ports     = 15_000
)

// FreeAddress returns an address of loopback for a program that cannot say which port it took, or that listens
// there again. Nobody else takes it meanwhile: every other listener and client of a test leaves the choice of its
// port to the kernel.
func FreeAddress(t testing.TB) string {
	t.Helper()
	const tries = 100
	for range tries {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(firstPort+rand.IntN(ports)))
		if listener, err := net.Listen("tcp", address); err == nil {
			_ = listener.Close()
			return address
		}
	}
	t.Fatalf("no free port among %d tries", tries)
	return ""
}
