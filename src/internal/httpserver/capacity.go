// SPDX-License-Identifier: Apache-2.0

package httpserver

import "math"

// What things take at most, in bytes. tests/attacks holds the whole to a pod's limits.
const (
	// ownMemory is what a process needs before it serves anybody, with ten thousand licenses.
	ownMemory = 32 << 20
	// transferCost is a transfer with its connections to the client and to the registry. By what 200 of them add
	// to the resident memory, a stalled upload takes 120 KiB, an unread download 140 and 280 with TLS on both
	// sides, a list 270.
	transferCost = 288 << 10
	// connectionCost is a connection without one. By the same measure an idle one takes 27 KiB, and 57 with TLS;
	// a header of the largest size adds 50.
	connectionCost = 112 << 10
)

const (
	// most are admitted where memory is no matter.
	mostTransfers, mostConnections = 1024, 2048
	// fewest are admitted however little memory there is.
	fewestTransfers, fewestConnections = 8, 32
)

// Capacity is how much a side takes on at once.
type Capacity struct {
	// Connections that are open; more wait to be accepted.
	Connections int
	// Transfers that are in flight; more wait for a place.
	Transfers int
}

// CapacityOf returns what so much memory holds, for each of the sides that share it. Of what the process does
// not need itself, half is for transfers, and a quarter for connections that have none. The rest is for
// garbage, and for what the kernel holds of connections. Without a limit, memory is [math.MaxInt64].
func CapacityOf(memory int64, sides int) Capacity {
	share := max(memory-ownMemory, 0) / int64(max(sides, 1))
	transfers := within(fewestTransfers, share/2/transferCost, mostTransfers)
	return Capacity{
		Transfers:   transfers,
		Connections: within(fewestConnections, int64(transfers)+share/4/connectionCost, mostConnections),
	}
}

func within(low int, n int64, high int) int {
	return max(low, int(min(n, int64(high), math.MaxInt32)))
}
