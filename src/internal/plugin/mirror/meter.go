// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"io"
	"sync"
	"sync/atomic"
)

// meter counts bytes of all blobs.
type meter struct {
	tell        func(done, total int64)
	mu          sync.Mutex
	done, total int64
}

func (m *meter) add(done, total int64) {
	if m.tell == nil {
		return
	}
	m.mu.Lock()
	m.done += done
	m.total += total
	done, total = m.done, m.total
	m.mu.Unlock()
	m.tell(done, total)
}

func (m *meter) expect(size int64) { m.add(0, size) }

// moved is how much of one blob is done. A blob that is opened again begins anew. What sends the blob may read
// on for a moment after it has failed.
type moved struct {
	meter *meter
	size  int64
	done  atomic.Int64
}

func (m *moved) again(content io.ReadCloser) io.ReadCloser {
	m.meter.add(-m.done.Swap(0), 0)
	return &counted{content, m}
}

// end counts what did not have to move.
func (m *moved) end(complete bool) {
	if complete {
		m.meter.add(m.size-m.done.Swap(m.size), 0)
	}
}

type counted struct {
	io.ReadCloser
	moved *moved
}

// Read implements [io.Reader].
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.moved.done.Add(int64(n))
	c.moved.meter.add(int64(n), 0)
	return n, err
}
