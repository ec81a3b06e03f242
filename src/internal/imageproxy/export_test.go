// SPDX-License-Identifier: Apache-2.0

package imageproxy

// Waiting is how many requests of all licenses wait for a place.
func (d *Proxy) Waiting() int {
	d.places.mu.Lock()
	defer d.places.mu.Unlock()
	n := 0
	for _, l := range d.places.lines {
		n += len(l.waiting)
	}
	return n
}

// Forget makes the side one that has just started.
func (d *Proxy) Forget() { d.contents = newContents() }
