// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"sync"
	"sync/atomic"
)

// Store has the catalog that is in force. It begins with an empty one. All methods may be called at the same
// time.
type Store struct {
	current atomic.Pointer[Catalog]

	mu          sync.Mutex
	subscribers map[int]func(*Catalog)
	nextID      int
}

// NewStore makes a store with an empty catalog.
func NewStore() *Store {
	s := &Store{subscribers: map[int]func(*Catalog){}}
	s.current.Store(New(nil, nil))
	return s
}

// Current returns the catalog in force, never nil. It does not block.
func (s *Store) Current() *Catalog { return s.current.Load() }

// Replace puts a catalog in force, and returns when all subscribers know.
func (s *Store) Replace(next *Catalog) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current.Store(next)
	for _, changed := range s.subscribers {
		changed(next)
	}
}

// Subscribe calls changed with each catalog from now on, in order and one at a time. The callee must neither
// replace nor subscribe. The function that is returned ends it.
func (s *Store) Subscribe(changed func(*Catalog)) (cancel func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.nextID
	s.nextID++
	s.subscribers[id] = changed
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.subscribers, id)
	}
}
