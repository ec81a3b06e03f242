// SPDX-License-Identifier: Apache-2.0

package httpserver

import "math"

const (
	// ownMemory is what a process needs before it serves anybody, with ten thousand licenses, in bytes.
	ownMemory = 40 << 20
	// transferCost is what one transfer takes at most, in bytes: its buffers, its goroutines, and a
	// connection to the registry, with TLS on both.
	transferCost = 256 << 10
	// connectionCost is what one connection takes at most before its request is admitted, in bytes: TLS, and
	// a header of the largest size.
	connectionCost = 96 << 10
	// mostConnections and mostTransfers are admitted where memory is no matter.
	mostConnections, mostTransfers = 2048, 1024
	// fewestConnections and fewestTransfers are admitted however little memory there is.
	fewestConnections, fewestTransfers = 32, 8
)

// Capacity is how much a side takes on at once.
type Capacity struct {
	// Connections that are open; more wait to be accepted.
	Connections int
	// Transfers that are in flight; more wait for a place.
	Transfers int
}

// CapacityOf returns what memory of so many bytes holds, for each of the sides that share it. Half of what the
// process does not need itself is for transfers and a quarter for connections. The rest is for garbage, and
// for what the kernel holds of connections. Without a limit, memory is [math.MaxInt64].
func CapacityOf(memory int64, sides int) Capacity {
	share := max(memory-ownMemory, 0) / int64(max(sides, 1))
	return Capacity{
		Connections: within(fewestConnections, share/4/connectionCost, mostConnections),
		Transfers:   within(fewestTransfers, share/2/transferCost, mostTransfers),
	}
}

func within(low int, n int64, high int) int {
	return max(low, int(min(n, int64(high), math.MaxInt32)))
}
