// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy/cache"
)

// memory is a place in this process.
type memory struct {
	mu      sync.RWMutex
	objects map[string][]byte
}

func (m *memory) open(_ context.Context, key string, from int64) (io.ReadCloser, int64, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	content, ok := m.objects[key]
	if !ok {
		return nil, 0, cache.ErrNotKept
	}
	size := int64(len(content))
	return io.NopCloser(bytes.NewReader(content[min(from, size):])), size, nil
}

func (m *memory) put(_ context.Context, key string, content *io.SectionReader) error {
	read := make([]byte, content.Size())
	if _, err := io.ReadFull(content, read); err != nil {
		return fmt.Errorf("read what is to be kept: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.objects[key] = read
	return nil
}

func (m *memory) remove(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
	return nil
}

func (*memory) sign(context.Context, string) (string, error) { return "", errNoURL }
func (*memory) close() error                                 { return nil }
