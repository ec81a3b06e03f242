// SPDX-License-Identifier: Apache-2.0

package push

import (
	"context"
	"io"
	"sync"
)

// meter counts what is read, and ends early when its context does. The transport may read on after it has an
// answer; nothing is counted once the meter is closed.
type meter struct {
	r    io.Reader
	stop context.Context // it ends the reader, which has no other way to hear of it
	add  func(int64)
	// moved hears of every read; may be nil.
	moved func()

	mu     sync.Mutex
	n      int64
	closed bool
}

func (m *meter) Read(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || m.stop.Err() != nil {
		return 0, io.EOF
	}
	n, err := m.r.Read(p)
	m.n += int64(n)
	m.add(int64(n))
	if m.moved != nil {
		m.moved()
	}
	return n, err
}

// finish ends the reading and returns how much was read.
func (m *meter) finish() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return m.n
}
