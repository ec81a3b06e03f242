// SPDX-License-Identifier: Apache-2.0

package push

import "sync"

// openUploads are those of this push that a later process will find again, by digest.
type openUploads struct {
	mu sync.Mutex
	at map[string]openUpload
}

// openUpload has a size, and how much of it the registry has confirmed.
type openUpload struct{ size, offset int64 }

func (o *openUploads) keep(digest string, u openUpload) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.at == nil {
		o.at = map[string]openUpload{}
	}
	o.at[digest] = u
}

// closed forgets one that has ended, or begins anew. What is finished says nothing of the others.
func (o *openUploads) closed(digest string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.at, digest)
}

// state is that of the largest: the developer waits for no other.
func (o *openUploads) state() (resumable, unconfirmed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var largest openUpload
	for _, u := range o.at {
		if u.size > largest.size {
			largest = u
		}
	}
	return largest.offset > 0, largest.size > 0 && largest.offset == 0
}
